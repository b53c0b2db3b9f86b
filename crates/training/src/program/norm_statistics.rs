use std::collections::{BTreeMap, HashMap};

use super::builder::{ProgramBuilder, info};
use super::{Error, Images, ModelSpec, Program, Role};
use crate::graph::export::{self, ExportOptions};
use crate::graph::lower::{self, Kernels};
use crate::graph::{Graph, Tensor, Value};
use crate::nn::{Builder, Mode};

/// Compiles the batch statistics of a classifier's batch norms: means, and unbiased variances, of the inputs of each, with each norm normalising by
/// them and without dropout. If `body_is_fixed`, the norms of the body use their running statistics and are left out.
///
/// # Shapes
/// `images` as specified by [`Images`], of `batch` images `→` the next state of each running statistic, `f32[C]`.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid, [`Error::Graph`] if `state` lacks a tensor.
pub fn norm_statistics(
    model: &ModelSpec,
    state: &BTreeMap<String, Tensor>,
    (images, batch): (Images, usize),
    body_is_fixed: bool,
) -> Result<Program, Error> {
    let mut whole = Graph::new();
    let mut builder = Builder::new(&mut whole, Mode::Statistics);
    if body_is_fixed {
        builder.norm_mode = Mode::Inference;
    }
    model.build_whole(&mut builder, batch, images)?;
    let statistics = builder.statistics().iter();
    let statistics: Vec<(String, Value)> = statistics
        .filter_map(|statistic| Some((statistic.name.clone(), statistic.next?)))
        .collect();
    let wanted: Vec<Value> = statistics.iter().map(|(_, value)| *value).collect();
    let (mut program, mut copies) = (ProgramBuilder::default(), HashMap::new());
    whole.copy_into(&mut program.graph, &wanted, &mut copies)?;
    let input = program.graph.named("images");
    let input = input.map(|value| info(&program.graph, "images", value));
    program.signature.inputs.extend(input);
    for (name, next) in statistics {
        let value = program.graph.named(&name).unwrap_or(copies[&next]);
        program.state(&name, Role::Statistic, value, Some(copies[&next]))?;
    }
    let options = ExportOptions {
        name: "norm_statistics",
        fixed: Some(state),
        ..ExportOptions::default()
    };
    Ok(Program {
        model: export::export(&lower::lower(&program.graph, Kernels::Cpu)?, &options)?,
        signature: program.signature,
    })
}

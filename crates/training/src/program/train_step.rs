use super::builder::ProgramBuilder;
use super::forward_backward::{ForwardBackward, forward_backward};
use super::update::{averages, update};
use super::{Error, Program, Role, Signature, TrainSpec};
use crate::graph::Graph;
use crate::graph::Value;
use crate::graph::autocast::merge_casts;
use crate::graph::export::{self, ExportOptions};
use crate::graph::{fuse, lower};
use crate::nn::staged_name;

/// Compiles one step of training: forward, loss, backward and update.
///
/// # Shapes
/// `images` as [`Images`](super::Images) says, `targets: f32[N, classes]`, one mask `f32[N, F]` per dropout, and scalars `f32[]`: `beta1`,
/// `bias_correction1`, `bias_correction2`, `learning_rate.i` for each group i, and `average_decay` where averages are
/// kept `→ loss: f32[]` (see [`nn::loss`](crate::nn::loss())), `logits: f32[N, classes]`, `gradient_norm: f32[]` (before clipping, where
/// gradients are clipped), `is_finite: f32[]`, and the next state. `is_finite` is 0 if the next state is not to be used, because a gradient
/// is infinite or not a number; otherwise 1. Where the loss is scaled, there is a scalar `loss_scale`.
///
/// # Determinism
/// A pure function of the specification, byte for byte.
///
/// # Errors
/// [`Error::Spec`] when the specification is impossible.
pub fn train_step(spec: &TrainSpec) -> Result<Program, Error> {
    let (graph, signature) = train_graph(spec)?;
    compile("train_step", spec, &graph, signature)
}

/// Fuses, where that is asked for, lowers and writes a graph.
pub(super) fn compile(
    name: &str,
    spec: &TrainSpec,
    graph: &Graph,
    signature: Signature,
) -> Result<Program, Error> {
    let options = ExportOptions {
        name,
        ..ExportOptions::default()
    };
    let lowered = if spec.is_fused && spec.precision.format().is_none() {
        lower::lower(&fuse::fuse(graph)?)?
    } else {
        lower::lower(graph)?
    };
    Ok(Program {
        model: export::export(&lowered, &options)?,
        signature,
    })
}

/// The graph behind [`train_step`], composites and all, for those who run or inspect it otherwise.
///
/// # Errors
/// [`Error::Spec`] when the specification is impossible.
pub fn train_graph(spec: &TrainSpec) -> Result<(Graph, Signature), Error> {
    spec.check()?;
    let mut program = ProgramBuilder::default();
    let step = forward_backward(spec, &mut program, None)?;
    statistics(&mut program, &step)?;
    let next = update(
        spec,
        &mut program,
        &step.trained,
        (&step.gradients, step.loss_scale),
    )?;
    for parameter in &step.parameters {
        let next = next.get(&parameter.name).copied();
        program.state(&parameter.name, Role::Parameter, parameter.value, next)?;
    }
    let statistics = step.statistics.iter();
    let moved = statistics.filter_map(|statistic| Some((statistic.name.as_str(), statistic.next?)));
    let moved = moved.chain(next.iter().map(|(name, &value)| (name.as_str(), value)));
    averages(spec, &mut program, &moved.collect::<Vec<(&str, Value)>>())?;
    finish(spec, program)
}

/// A program whose graph is complete.
pub(super) fn finish(spec: &TrainSpec, program: ProgramBuilder) -> Result<(Graph, Signature), Error> {
    let graph = match spec.precision.format() {
        Some(_) => merge_casts(&program.graph)?,
        None => program.graph,
    };
    Ok((graph, program.signature))
}

/// Makes the running statistics of a pass state.
pub(super) fn statistics(program: &mut ProgramBuilder, step: &ForwardBackward) -> Result<(), Error> {
    for statistic in &step.statistics {
        let (name, next) = (&statistic.name, statistic.next);
        match statistic.staged {
            None => program.state(name, Role::Statistic, statistic.value, next)?,
            Some(before) => {
                program.state(name, Role::Statistic, statistic.value, None)?;
                program.state(&staged_name(name), Role::Staged, before, next)?;
            }
        }
    }
    Ok(())
}

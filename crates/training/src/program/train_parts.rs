use std::collections::BTreeMap;

use super::builder::ProgramBuilder;
use super::forward_backward::forward_backward;
use super::pack::{Unit, parameters};
use super::train_step::{compile, finish, statistics, units};
use super::update::{averages, update};
use super::{Error, Program, Role, Signature, TrainSpec};
use crate::graph::{Graph, Value};
use crate::nn::staged_name;

/// A training step with gradient accumulation, for batches that do not fit into memory.
#[derive(Clone, Debug)]
pub struct TrainParts {
    /// Run for every micro-batch: accumulates its gradients.
    pub gradients: Program,
    /// Run once after the last micro-batch: updates the parameters.
    pub update: Program,
}

/// Compiles a training step with gradient accumulation over micro-batches of [`TrainSpec::batch_size`] images.
///
/// If each micro-batch is given its rows of the whole batch's targets, the accumulated gradients equal those of the whole batch, except for
/// batch norms: they use per-micro-batch statistics, and their running statistics are updated once per micro-batch. These are staged, and
/// committed by the update, whose `is_finite` tells whether the step is to be used.
///
/// # Shapes
/// Those of [`train_step`](super::train_step()), divided between the two programs. The first also has an input `keep: f32[]`: 0 for the first
/// micro-batch, whose gradients replace the accumulated ones, and 1 for the others.
///
/// # Determinism
/// A pure function of the specification, byte for byte.
///
/// # Errors
/// [`Error::Spec`] if the specification is invalid.
pub fn train_parts(spec: &TrainSpec) -> Result<TrainParts, Error> {
    let [gradients, update] = parts_graphs(spec)?;
    Ok(TrainParts {
        gradients: compile("gradients", spec, &gradients.0, gradients.1)?,
        update: compile("update", spec, &update.0, update.1)?,
    })
}

/// The graphs of [`train_parts`], in its order.
///
/// # Errors
/// [`Error::Spec`] if the specification is invalid.
pub fn parts_graphs(spec: &TrainSpec) -> Result<[(Graph, Signature); 2], Error> {
    spec.check()?;
    Ok([gradients_graph(spec)?, update_graph(spec)?])
}

fn gradients_graph(spec: &TrainSpec) -> Result<(Graph, Signature), Error> {
    let mut program = ProgramBuilder::default();
    let keep = program.scalar("keep")?;
    let is_accumulating = accumulation_flag(&mut program, keep)?;
    let step = forward_backward(spec, &mut program, Some(is_accumulating))?;
    statistics(&mut program, &step)?;
    let (units, gradients) = units(spec, &mut program, &step)?;
    parameters(&mut program, &step.parameters, &units, &BTreeMap::new())?;
    // Autocast replaced the graph.
    let keep = program.graph.named("keep").expect("it was declared above");
    // Without loss scaling, training ends at the first non-finite gradient, so the faster multiplication is safe.
    let is_accumulating = match spec.precision.is_scaled() {
        true => Some(accumulation_flag(&mut program, keep)?),
        false => None,
    };
    for ((unit, _), &gradient) in units.iter().zip(&gradients) {
        let name = accumulator(unit);
        let shape = program.graph.shape(gradient).clone();
        let before = program.graph.parameter(&name, shape)?;
        let total = program.graph.scoped(&name, |g| {
            let kept = match is_accumulating {
                // A skipped step may have left NaN or infinity here, which multiplication by zero would keep.
                Some(is_accumulating) => {
                    let zero = g.scalar(0.0);
                    g.select(is_accumulating, before, zero)?
                }
                None => g.mul(before, keep)?,
            };
            g.add(kept, gradient)
        })?;
        program.state(&name, Role::Gradient, before, Some(total))?;
    }
    finish(spec, program)
}

/// `bool[]`: whether a micro-batch is not the first of its step.
fn accumulation_flag(program: &mut ProgramBuilder, keep: Value) -> Result<Value, Error> {
    let zero = program.graph.scalar(0.0);
    Ok(program.graph.greater(keep, zero)?)
}

fn update_graph(spec: &TrainSpec) -> Result<(Graph, Signature), Error> {
    // The model is built only to list its parameters and statistics.
    let mut model = Graph::new();
    let (_, (trained, statistics)) = spec.model.in_graph(&mut model, 1, |builder| {
        (spec.trained(builder.parameters()), builder.statistics().to_vec())
    })?;
    let trained = trained?;

    let mut program = ProgramBuilder::default();
    let leaf = |program: &mut ProgramBuilder, name: &str, like: Value| {
        let shape = model.shape(like).clone();
        program.graph.parameter(name, shape)
    };
    let (mut units, mut gradients) = (vec![], vec![]);
    for unit in Unit::of(spec, &trained) {
        let value = program.graph.parameter(&unit.name, unit.shape.clone())?;
        let name = accumulator(&unit);
        let gradient = program.graph.parameter(&name, unit.shape.clone())?;
        program.state(&name, Role::Gradient, gradient, None)?;
        gradients.push(gradient);
        units.push((unit, value));
    }
    let scale = if spec.precision.is_scaled() {
        Some(program.scalar("loss_scale")?)
    } else {
        None
    };
    let next = update(spec, &mut program, &units, (&gradients, scale))?;
    for (unit, value) in &units {
        let next = next.get(&unit.name).copied();
        unit.state(&mut program, ("", Role::Parameter), *value, next)?;
    }
    let mut moved: Vec<(&str, Value)> = vec![];
    for statistic in statistics
        .iter()
        .filter(|statistic| spec.updates(statistic.group))
    {
        // The staged statistics are committed here, because a step may be skipped before.
        let value = leaf(&mut program, &statistic.name, statistic.value)?;
        let name = staged_name(&statistic.name);
        let next = leaf(&mut program, &name, statistic.value)?;
        program.state(&name, Role::Staged, next, None)?;
        program.state(&statistic.name, Role::Statistic, value, Some(next))?;
        moved.push((&statistic.name, next));
    }
    averages(spec, &mut program, &moved, (&units, &next))?;
    finish(spec, program)
}

/// Name of a unit's accumulated gradient.
fn accumulator(unit: &Unit) -> String {
    format!("gradient.{}", unit.name)
}

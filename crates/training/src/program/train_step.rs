use super::builder::ProgramBuilder;
use super::forward_backward::{ForwardBackward, forward_backward};
use super::pack::{Unit, inputs, parameters, with_packs};
use super::update::{averages, update};
use super::{Error, Program, Role, Signature, TrainSpec, in_place};
use crate::graph::Graph;
use crate::graph::Value;
use crate::graph::autocast::merge_casts;
use crate::graph::export::{self, ExportOptions};
use crate::graph::{
    fuse,
    lower::{self, Kernels},
};
use crate::nn::staged_name;

/// Compiles a training step: forward, loss, backward and update.
///
/// # Shapes
/// `images` as specified by [`Images`](super::Images), `targets: f32[N, classes]`, one mask `f32[N, F]` per dropout, and scalars `f32[]`:
/// `beta1`, `bias_correction1`, `bias_correction2`, `learning_rate.i` for each layer group i, `average_decay` if averages are kept, and
/// `loss_scale` if the loss is scaled `→ loss: f32[]` (see [`nn::loss`](crate::nn::loss())), `logits: f32[N, classes]`,
/// `gradient_norm: f32[]` (before clipping, if gradients are clipped), `is_finite: f32[]`, and the next state. `is_finite` is 0 if a
/// gradient is infinite or NaN, in which case the next state must not be used; otherwise 1.
///
/// # Determinism
/// A pure function of the specification, byte for byte.
///
/// # Errors
/// [`Error::Spec`] if the specification is invalid.
pub fn train_step(spec: &TrainSpec) -> Result<Program, Error> {
    let (graph, signature) = train_graph(spec)?;
    compile("train_step", spec, &graph, signature)
}

/// Fuses (if requested), lowers and exports a graph.
pub(super) fn compile(
    name: &str,
    spec: &TrainSpec,
    graph: &Graph,
    mut signature: Signature,
) -> Result<Program, Error> {
    let options = ExportOptions {
        name,
        ..ExportOptions::default()
    };
    let is_fused = spec.kernels == Kernels::CpuFused && spec.precision.format().is_none();
    let lowered = if is_fused {
        lower::lower(&fuse::fuse(graph)?, spec.kernels)?
    } else {
        lower::lower(graph, spec.kernels)?
    };
    in_place::mark(&lowered, &mut signature);
    Ok(Program {
        model: export::export(&lowered, &options)?,
        signature,
    })
}

/// The graph of [`train_step`] before fusing and lowering, for other uses such as the interpreter.
///
/// # Errors
/// [`Error::Spec`] if the specification is invalid.
pub fn train_graph(spec: &TrainSpec) -> Result<(Graph, Signature), Error> {
    spec.check()?;
    let mut program = ProgramBuilder::default();
    let step = forward_backward(spec, &mut program, None)?;
    statistics(&mut program, &step)?;
    let (units, gradients) = units(spec, &mut program, &step)?;
    let next = update(spec, &mut program, &units, (&gradients, step.loss_scale))?;
    parameters(&mut program, &step.parameters, &units, &next)?;
    let statistics = step.statistics.iter();
    let moved = statistics.filter_map(|statistic| Some((statistic.name.as_str(), statistic.next?)));
    let moved: Vec<(&str, Value)> = moved.collect();
    averages(spec, &mut program, &moved, (&units, &next))?;
    finish(spec, program)
}

/// The units of a step with their values, and their gradients.
#[expect(clippy::type_complexity, reason = "a list, and a list for it")]
pub(super) fn units(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    step: &ForwardBackward,
) -> Result<(Vec<(Unit, Value)>, Vec<Value>), Error> {
    let (mut units, mut gradients) = (vec![], vec![]);
    for unit in Unit::of(spec, &step.trained) {
        gradients.push(unit.gradient(&mut program.graph, &step.gradients)?);
        let value = unit.value(program, &step.trained)?;
        units.push((unit, value));
    }
    Ok((units, gradients))
}

/// Completes a program: takes packed leaves from their packs, removes redundant casts, and returns graph and signature.
pub(super) fn finish(spec: &TrainSpec, mut program: ProgramBuilder) -> Result<(Graph, Signature), Error> {
    inputs(spec, &mut program)?;
    let graph = with_packs(program.graph, &program.packs)?;
    let graph = match spec.precision.format() {
        Some(_) => merge_casts(&graph)?,
        None => graph,
    };
    Ok((graph, program.signature))
}

/// Declares running statistics as state.
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

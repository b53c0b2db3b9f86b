use super::builder::ProgramBuilder;
use super::forward_backward::forward_backward;
use super::train_step::{compile, finish, statistics};
use super::update::{averages, update};
use super::{Error, Program, Role, Signature, TrainSpec};
use crate::graph::{Graph, TensorType, Value};
use crate::nn::{Builder, Mode, Parameter, staged_name};

/// One step of training in parts, for batches that do not fit the memory as a whole.
#[derive(Clone, Debug)]
pub struct TrainParts {
    /// Run for every part: adds its gradients to those of the parts before.
    pub gradients: Program,
    /// Run once after the last part: moves the parameters.
    pub update: Program,
}

/// Compiles one step of training in parts of [`TrainSpec::batch_size`] images.
///
/// Where each part is given the targets that it has in the whole batch, the gradients add up to those of the whole batch, but for what
/// batch norms do: they normalise each part by its own statistics, and take in one part after the other. Running statistics, too, count only
/// from the update on, which says whether the step is to be used.
///
/// # Shapes
/// Those of [`train_step`](super::train_step()), shared out between the two. The first also has a scalar `keep`: 0 for the first part, whose
/// gradients replace what was there, and 1 for the others.
///
/// # Determinism
/// A pure function of the specification, byte for byte.
///
/// # Errors
/// [`Error::Spec`] when the specification is impossible.
pub fn train_parts(spec: &TrainSpec) -> Result<TrainParts, Error> {
    let [gradients, update] = parts_graphs(spec)?;
    Ok(TrainParts {
        gradients: compile("gradients", spec, &gradients.0, gradients.1)?,
        update: compile("update", spec, &update.0, update.1)?,
    })
}

/// The graphs behind [`train_parts`], in its order.
///
/// # Errors
/// [`Error::Spec`] when the specification is impossible.
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
    for parameter in &step.parameters {
        program.state(&parameter.name, Role::Parameter, parameter.value, None)?;
    }
    // Half precision made another graph of it.
    let keep = program.graph.named("keep").expect("it was declared above");
    // A run whose loss is not scaled ends with a step that is not taken, and multiplying is faster.
    let is_accumulating = match spec.precision.is_scaled() {
        true => Some(accumulation_flag(&mut program, keep)?),
        false => None,
    };
    for (parameter, &gradient) in step.trained.iter().zip(&step.gradients) {
        let name = accumulator(parameter);
        let shape = program.graph.shape(gradient).clone();
        let before = program.graph.parameter(&name, shape)?;
        let total = program.graph.scoped(&name, |g| {
            let kept = match is_accumulating {
                // What a step that was not taken has left there may be no number, and nothing makes it zero but not reading it.
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

/// Whether a part is not the first, for those who must not even read what the parts of the step before have left.
fn accumulation_flag(program: &mut ProgramBuilder, keep: Value) -> Result<Value, Error> {
    let zero = program.graph.scalar(0.0);
    Ok(program.graph.greater(keep, zero)?)
}

fn update_graph(spec: &TrainSpec) -> Result<(Graph, Signature), Error> {
    // The model is wired only to know what it is made of.
    let mut model = Graph::new();
    let size = spec.model.image_size;
    let images = model.input("images", TensorType::f32([1, 3, size, size]))?;
    let mut builder = Builder::new(&mut model, Mode::Inference);
    spec.model.build(&mut builder, images)?;
    let trained = spec.trained(builder.parameters());
    let statistics = builder.statistics().to_vec();

    let mut program = ProgramBuilder::default();
    let leaf = |program: &mut ProgramBuilder, name: &str, like: Value| {
        let shape = model.shape(like).clone();
        program.graph.parameter(name, shape)
    };
    let (mut own, mut gradients) = (vec![], vec![]);
    for parameter in &trained {
        let value = leaf(&mut program, &parameter.name, parameter.value)?;
        own.push(Parameter {
            value,
            ..parameter.clone()
        });
        let gradient = leaf(&mut program, &accumulator(parameter), parameter.value)?;
        program.state(&accumulator(parameter), Role::Gradient, gradient, None)?;
        gradients.push(gradient);
    }
    let scale = if spec.precision.is_scaled() {
        Some(program.scalar("loss_scale")?)
    } else {
        None
    };
    let next = update(spec, &mut program, &own, (&gradients, scale))?;
    for parameter in &own {
        let next = next.get(&parameter.name).copied();
        program.state(&parameter.name, Role::Parameter, parameter.value, next)?;
    }
    let mut moved: Vec<(&str, Value)> = vec![];
    for statistic in &statistics {
        // They count from now on: until here, the step might not have been taken.
        let value = leaf(&mut program, &statistic.name, statistic.value)?;
        let name = staged_name(&statistic.name);
        let next = leaf(&mut program, &name, statistic.value)?;
        program.state(&name, Role::Staged, next, None)?;
        program.state(&statistic.name, Role::Statistic, value, Some(next))?;
        moved.push((&statistic.name, next));
    }
    moved.extend(next.iter().map(|(name, &value)| (name.as_str(), value)));
    averages(spec, &mut program, &moved)?;
    finish(spec, program)
}

/// Name of the sum of a parameter's gradients.
fn accumulator(parameter: &Parameter) -> String {
    format!("gradient.{}", parameter.name)
}

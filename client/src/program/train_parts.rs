use super::assembly::Assembly;
use super::pass::pass;
use super::train_step::{compile, statistics};
use super::update::{averages, update};
use super::{Error, Program, Role, Signature, TrainSpec};
use crate::graph::{Graph, TensorType, Value};
use crate::nn::{Builder, Mode, Parameter};

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
/// batch norms do: they normalise each part by its own statistics, and take in one part after the other.
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
    let mut program = Assembly::default();
    let pass = pass(spec, &mut program)?;
    statistics(&mut program, &pass)?;
    for parameter in &pass.parameters {
        program.state(&parameter.name, Role::Parameter, parameter.value, None)?;
    }
    let keep = program.scalar("keep")?;
    for (parameter, &gradient) in pass.trained.iter().zip(&pass.gradients) {
        let name = accumulator(parameter);
        let shape = program.graph.shape(gradient).clone();
        let before = program.graph.parameter(&name, shape)?;
        let total = program.graph.scoped(&name, |g| {
            let kept = g.mul(before, keep)?;
            g.add(kept, gradient)
        })?;
        program.state(&name, Role::Gradient, before, Some(total))?;
    }
    Ok((program.graph, program.signature))
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

    let mut program = Assembly::default();
    let leaf = |program: &mut Assembly, name: &str, like: Value| {
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
    let next = update(spec, &mut program, &own, &gradients)?;
    for parameter in &own {
        let next = next.get(&parameter.name).copied();
        program.state(&parameter.name, Role::Parameter, parameter.value, next)?;
    }
    let mut moved: Vec<(&str, Value)> = vec![];
    if spec.average {
        for statistic in &statistics {
            let value = leaf(&mut program, &statistic.name, statistic.value)?;
            program.state(&statistic.name, Role::Statistic, value, None)?;
            moved.push((&statistic.name, value));
        }
    }
    moved.extend(next.iter().map(|(name, &value)| (name.as_str(), value)));
    averages(spec, &mut program, &moved)?;
    Ok((program.graph, program.signature))
}

/// Name of the sum of a parameter's gradients.
fn accumulator(parameter: &Parameter) -> String {
    format!("gradient.{}", parameter.name)
}

use std::collections::BTreeMap;

use super::inference::info;
use super::{Error, Program, Role, Signature, StatePair, TrainSpec, ValueInfo};
use crate::autodiff::gradients;
use crate::graph::export::{self, Options};
use crate::graph::{ElementType, Graph, TensorType, Value, lower};
use crate::nn::{Builder, LayerGroup, Mode, Parameter};
use crate::optim::{Moments, Rate, Schedule, Trained};

/// Compiles one step of training: forward, loss, backward and update.
///
/// # Shapes
/// `images: f32[N, 3, S, S]`, `labels: i64[N]`, one mask `f32[N, F]` per dropout, and scalars `f32[]`: `beta1`, `bias_correction1`,
/// `bias_correction2`, and `learning_rate.i` for each group i that trains anything `→ loss: f32[]` (the batch's mean),
/// `logits: f32[N, classes]`, and the next state.
///
/// # Determinism
/// A pure function of the specification, byte for byte.
///
/// # Errors
/// [`Error::Spec`] when the specification is impossible.
pub fn train_step(spec: &TrainSpec) -> Result<Program, Error> {
    let (graph, signature) = train_graph(spec)?;
    let options = Options {
        name: "train_step",
        ..Options::default()
    };
    Ok(Program {
        model: export::export(&lower::lower(&graph)?, &options)?,
        signature,
    })
}

/// The graph behind [`train_step`], composites and all, for those who run or inspect it otherwise.
///
/// # Errors
/// [`Error::Spec`] when the specification is impossible.
pub fn train_graph(spec: &TrainSpec) -> Result<(Graph, Signature), Error> {
    spec.check()?;
    let size = spec.model.image_size;
    let mut graph = Graph::new();
    let g = &mut graph;
    let images = g.input("images", TensorType::f32([spec.batch_size, 3, size, size]))?;
    let labels = g.input("labels", TensorType::new(ElementType::I64, [spec.batch_size]))?;
    let mut builder = Builder::new(g, Mode::Train);
    let logits = spec.model.build(&mut builder, images)?;
    let loss = builder
        .graph
        .scoped("loss", |g| g.cross_entropy(logits, labels))?;
    let parameters = builder.parameters().to_vec();
    let statistics = builder.statistics().to_vec();
    let dropout = builder.dropouts().to_vec();

    let trained: Vec<Parameter> = parameters
        .iter()
        .filter(|parameter| is_trained(parameter, spec))
        .cloned()
        .collect();
    let wrt: Vec<Value> = trained.iter().map(|parameter| parameter.value).collect();
    let gradients = gradients(g, loss, &wrt)?;

    let outputs = [("loss", loss), ("logits", logits)];
    for (name, value) in outputs {
        g.output(name, value)?;
    }
    let mut state = StateList {
        graph: g,
        pairs: Vec::new(),
    };
    for statistic in &statistics {
        state.add(&statistic.name, Role::Statistic, statistic.value, statistic.next)?;
    }
    let mut inputs = vec![
        info(state.graph, "images", images),
        info(state.graph, "labels", labels),
    ];
    inputs.extend(dropout.iter().map(|mask| ValueInfo {
        name: mask.name.clone(),
        element_type: ElementType::F32,
        shape: mask.shape.clone(),
    }));
    let next = update(spec, &mut state, &mut inputs, &trained, &gradients)?;
    for parameter in &parameters {
        let next = next.get(&parameter.name).copied();
        state.add(&parameter.name, Role::Parameter, parameter.value, next)?;
    }
    let state = state.pairs;
    let signature = Signature {
        inputs,
        state,
        outputs: outputs
            .iter()
            .map(|&(name, value)| info(&graph, name, value))
            .collect(),
        dropout,
    };
    Ok((graph, signature))
}

fn is_trained(parameter: &Parameter, spec: &TrainSpec) -> bool {
    parameter.group.index() >= spec.frozen_groups || parameter.kind.is_norm()
}

/// Adds the optimizer for all trained parameters, and returns their next values by name.
fn update(
    spec: &TrainSpec,
    state: &mut StateList<'_>,
    inputs: &mut Vec<ValueInfo>,
    trained: &[Parameter],
    gradients: &[Value],
) -> Result<BTreeMap<String, Value>, Error> {
    let mut scalar = |graph: &mut Graph, name: &str| {
        let value = graph.input(name, TensorType::f32([]))?;
        inputs.push(info(graph, name, value));
        Ok::<Value, Error>(value)
    };
    let optimizer = &spec.optimizer;
    let beta1 = scalar(state.graph, "beta1")?;
    let correction1 = scalar(state.graph, "bias_correction1")?;
    let correction2 = scalar(state.graph, "bias_correction2")?;
    let schedule: Schedule = state.graph.scoped("adamw", |g| {
        optimizer.schedule(g, beta1, correction1, correction2)
    })?;
    let mut rates: BTreeMap<LayerGroup, Rate> = BTreeMap::new();
    for group in LayerGroup::ALL {
        if trained.iter().any(|parameter| parameter.group == group) {
            let learning_rate = scalar(state.graph, &format!("learning_rate.{}", group.index()))?;
            rates.insert(
                group,
                state
                    .graph
                    .scoped("adamw", |g| optimizer.rate(g, &schedule, learning_rate))?,
            );
        }
    }
    let mut next = BTreeMap::new();
    for (parameter, &gradient) in trained.iter().zip(gradients) {
        let shape = state.graph.shape(parameter.value).clone();
        let names = ["first_moment", "second_moment"].map(|moment| format!("{moment}.{}", parameter.name));
        let moments = Moments {
            first: state.graph.parameter(&names[0], shape.clone())?,
            second: state.graph.parameter(&names[1], shape)?,
        };
        let hyper = (&schedule, &rates[&parameter.group]);
        let (value, updated) = state.graph.scoped(&format!("adamw/{}", parameter.name), |g| {
            optimizer.update(
                g,
                hyper,
                Trained {
                    parameter: parameter.value,
                    gradient,
                    moments,
                },
            )
        })?;
        next.insert(parameter.name.clone(), value);
        state.add(&names[0], Role::FirstMoment, moments.first, Some(updated.first))?;
        state.add(
            &names[1],
            Role::SecondMoment,
            moments.second,
            Some(updated.second),
        )?;
    }
    Ok(next)
}

/// The state of a program under construction.
struct StateList<'g> {
    graph: &'g mut Graph,
    pairs: Vec<StatePair>,
}

impl StateList<'_> {
    fn add(&mut self, name: &str, role: Role, value: Value, next: Option<Value>) -> Result<(), Error> {
        let output = next.map(|_| format!("{name}.next"));
        if let (Some(output), Some(next)) = (&output, next) {
            self.graph.output(output, next)?;
        }
        let (name, shape) = (name.to_owned(), self.graph.shape(value).clone());
        self.pairs.push(StatePair {
            input: name.clone(),
            name,
            output,
            shape,
            role,
        });
        Ok(())
    }
}

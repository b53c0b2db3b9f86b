//! A classifier in two parts: the body, which computes features of images, and the head, which computes logits of features.
//!
//! The head begins at the first node that reads a parameter, running statistic or dropout mask of [`LayerGroup::Head`]; whatever pools or flattens
//! before that belongs to the body.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::inference::for_any_batch;
use super::{Error, Images, ModelSpec, Program};
use crate::graph::{Graph, Origin, Tensor, TensorType, Value};
use crate::nn::{Builder, LayerGroup, Mode};

/// Compiles the body of a ResNet or classifier for inference.
///
/// # Shapes
/// `images` as specified by [`Images`] `→ features: f32[N, …]`, with N dynamic: what [`ModelSpec::Head`] takes.
///
/// # Determinism
/// A pure function of its arguments, byte for byte.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid, or its head reads several values of its body; [`Error::Graph`] if `state` lacks a tensor.
pub fn features(
    model: &ModelSpec,
    state: &BTreeMap<String, Tensor>,
    images: Images,
) -> Result<Program, Error> {
    let body = |batch| -> Result<Graph, Error> {
        let mut whole = Graph::new();
        let mut builder = Builder::new(&mut whole, Mode::Inference);
        let logits = model.build_whole(&mut builder, batch, images)?[0].1;
        let end = end_of_body(&builder, logits)?;
        let mut body = Graph::new();
        let mut copies = HashMap::new();
        whole.copy_into(&mut body, &[end], &mut copies)?;
        body.output("features", copies[&end])?;
        Ok(body)
    };
    let (file, signature) = for_any_batch([body(1)?, body(2)?], &["images"], state, &[])?;
    let model = file.to_bytes();
    Ok(Program { model, signature })
}

/// The type of the features of `batch` images.
pub(super) fn features_type(whole: &ModelSpec, batch: usize) -> Result<TensorType, Error> {
    let mut graph = Graph::new();
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let logits = whole.build_whole(&mut builder, batch, Images::F32)?[0].1;
    let end = end_of_body(&builder, logits)?;
    Ok(graph.tensor_type(end).clone())
}

/// Adds the head of `whole` and returns the logits.
pub(super) fn build(whole: &ModelSpec, builder: &mut Builder<'_>, features: Value) -> Result<Value, Error> {
    let batch = builder.graph.shape(features)[0];
    let mut graph = Graph::new();
    let mut source = builder.of_same_mode(&mut graph);
    let logits = whole.build_whole(&mut source, batch, Images::F32)?[0].1;
    let end = end_of_body(&source, logits)?;
    let parameters = source.parameters().iter();
    let parameters = parameters.filter(|own| own.group == LayerGroup::Head);
    let mut wanted: Vec<Value> = parameters.map(|own| own.value).collect();
    let statistics = source.statistics().iter();
    let statistics = statistics.filter(|own| own.group == LayerGroup::Head);
    wanted.extend(statistics.flat_map(|own| [Some(own.value), own.next].into_iter().flatten()));
    wanted.push(logits);
    let mut copies = HashMap::from([(end, features)]);
    source.graph.copy_into(builder.graph, &wanted, &mut copies)?;
    builder.adopt_head(&source, &copies);
    Ok(copies[&logits])
}

/// The value that a model's body passes to its head.
fn end_of_body(model: &Builder<'_>, logits: Value) -> Result<Value, Error> {
    let graph = &*model.graph;
    let is_head = |group| group == LayerGroup::Head;
    let parameters = model.parameters().iter().filter(|own| is_head(own.group));
    let statistics = model.statistics().iter().filter(|own| is_head(own.group));
    let masks = model.dropouts().iter().filter(|own| is_head(own.group));
    let of_head = parameters
        .map(|own| own.value)
        .chain(statistics.map(|own| own.value));
    let of_head = of_head.chain(masks.filter_map(|own| graph.named(&own.name)));
    let reads_head = dependents(graph, of_head);
    let images = graph
        .values()
        .filter(|&value| matches!(graph.origin(value), Origin::Input(_)));
    let reads_images = dependents(graph, images);
    let (mut ends, mut visited) = (BTreeSet::new(), vec![false; graph.values().len()]);
    let mut open = vec![logits];
    while let Some(value) = open.pop() {
        if std::mem::replace(&mut visited[value.index()], true) {
            continue;
        }
        let is_mask = matches!(graph.origin(value), Origin::Input(name) if name != "images");
        if !reads_head[value.index()] && reads_images[value.index()] && !is_mask {
            ends.insert(value);
        } else if let Origin::Node(id, _) = graph.origin(value) {
            open.extend(&graph.node(*id).inputs);
        }
    }
    match Vec::from_iter(ends)[..] {
        [end] if end != logits => Ok(end),
        ref ends => Err(Error::Spec {
            field: "the number of values that the head reads from the body",
            found: ends.len(),
            expected: "1, of a network whose last layers are its head",
        }),
    }
}

/// For each value, whether it is one of `from` or depends on one.
fn dependents(graph: &Graph, from: impl Iterator<Item = Value>) -> Vec<bool> {
    let mut depends = vec![false; graph.values().len()];
    from.for_each(|value| depends[value.index()] = true);
    for node in graph.nodes() {
        if node.inputs.iter().any(|input| depends[input.index()]) {
            node.outputs().for_each(|output| depends[output.index()] = true);
        }
    }
    depends
}

use std::collections::BTreeMap;

use super::builder::info;
use super::{Error, ModelSpec, Program, Signature};
use crate::graph::export::{self, DynamicBatch, ExportOptions};
use crate::graph::{Graph, Tensor, TensorType, Value, lower};
use crate::nn::{Builder, Mode};

/// Compiles a model for inference, with parameters and running statistics as initializers and a dynamic batch size.
///
/// # Shapes
/// `images: f32[N, 3, S, S] → logits: f32[N, classes], probabilities: f32[N, classes]`, with N dynamic.
///
/// # Determinism
/// A pure function of its arguments, byte for byte.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid, [`Error::MissingState`] if `state` lacks a tensor, [`Error::Graph`] if a tensor has the wrong
/// number of elements or the model depends on the batch size.
pub fn inference(
    model: &ModelSpec,
    state: &BTreeMap<String, Tensor>,
    metadata: &[(String, String)],
) -> Result<Program, Error> {
    compile(model, state, metadata, 1)
}

/// [`inference`] with the batch size that the graph is built for; the result does not depend on it.
fn compile(
    model: &ModelSpec,
    state: &BTreeMap<String, Tensor>,
    metadata: &[(String, String)],
    batch: usize,
) -> Result<Program, Error> {
    model.check()?;
    let [graph, resized] = [batch, batch + 1].map(|batch| build_graph(model, state, batch));
    let ((graph, images, outputs), (resized, ..)) = (graph?, resized?);
    let resized = lower::lower_inference(&resized)?;
    let options = ExportOptions {
        name: "inference",
        fixed: Some(state),
        dynamic_batch: Some(DynamicBatch {
            name: "batch",
            resized: &resized,
        }),
        metadata,
        ..ExportOptions::default()
    };
    let signature = Signature {
        inputs: vec![info(&graph, "images", images)],
        outputs: outputs
            .iter()
            .map(|&(name, value)| info(&graph, name, value))
            .collect(),
        ..Signature::default()
    };
    Ok(Program {
        model: export::export(&lower::lower_inference(&graph)?, &options)?,
        signature,
    })
}

/// Names and values of a graph's outputs.
type Outputs = [(&'static str, Value); 2];

/// The graph for a batch size, its input and its outputs.
fn build_graph(
    model: &ModelSpec,
    state: &BTreeMap<String, Tensor>,
    batch: usize,
) -> Result<(Graph, Value, Outputs), Error> {
    let mut graph = Graph::new();
    let images = graph.input(
        "images",
        TensorType::f32([batch, 3, model.image_size, model.image_size]),
    )?;
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let logits = model.build(&mut builder, images)?;
    let names = builder.parameters().iter().map(|parameter| &parameter.name);
    let mut names = names.chain(builder.statistics().iter().map(|statistic| &statistic.name));
    if let Some(name) = names.find(|name| !state.contains_key(*name)) {
        return Err(Error::MissingState { name: name.clone() });
    }
    let probabilities = graph.softmax(logits)?;
    let outputs = [("logits", logits), ("probabilities", probabilities)];
    for (name, value) in outputs {
        graph.output(name, value)?;
    }
    Ok((graph, images, outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Backbone;
    use crate::program::initial_state;

    #[test]
    fn a_dynamic_batch_model_does_not_depend_on_the_batch_size_it_was_built_for() {
        let model = ModelSpec {
            image_size: 32,
            ..ModelSpec::new(
                Backbone {
                    width: 2,
                    ..Backbone::RESNET18
                },
                2,
            )
        };
        let state = initial_state(&model, 1).expect("the model is valid");
        let [one, seven] =
            [1, 7].map(|batch| compile(&model, &state, &[], batch).expect("the model is valid"));
        assert!(one.model == seven.model);
        assert!(one.model == compile(&model, &state, &[], 1).expect("the model is valid").model);
    }
}

use std::collections::BTreeMap;

use super::builder::info;
use super::{Error, Images, ModelSpec, Program, Signature};
use crate::graph::export::{self, DynamicBatch, ExportOptions, ModelFile};
use crate::graph::{Graph, Tensor, lower};

/// Compiles a model for inference, with parameters and running statistics as initializers. The batch size is dynamic unless that of the file is
/// fixed.
///
/// # Shapes
/// Of classifiers `images: f32[N, 3, S, S] → logits: f32[N, classes], probabilities: f32[N, classes]`, with N dynamic; of other networks those of
/// the file.
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
    let (file, signature) = compile(model, state, metadata, 1)?;
    let model = file.to_bytes();
    Ok(Program { model, signature })
}

/// The file of [`inference`], with the parameters as `state` has them: they are not copied.
///
/// # Errors
/// Those of [`inference`].
pub fn inference_file<'a>(
    model: &ModelSpec,
    state: &'a BTreeMap<String, Tensor>,
    metadata: &[(String, String)],
) -> Result<ModelFile<'a>, Error> {
    compile(model, state, metadata, 1).map(|(file, _)| file)
}

/// [`inference_file`] and the signature, with the batch size that the graph is built for; the result does not depend on it.
fn compile<'a>(
    model: &ModelSpec,
    state: &'a BTreeMap<String, Tensor>,
    metadata: &[(String, String)],
    batch: usize,
) -> Result<(ModelFile<'a>, Signature), Error> {
    let graphs = [
        build_graph(model, state, batch)?,
        build_graph(model, state, batch + 1)?,
    ];
    let inputs = model.inputs(batch, Images::F32)?;
    let inputs: Vec<&str> = inputs.iter().map(|(name, _)| &**name).collect();
    for_any_batch(graphs, &inputs, state, metadata)
}

/// Exports a graph that was built for two batch sizes, with the parameters as initializers. Inputs that have the same shape in both keep it.
pub(super) fn for_any_batch<'a>(
    [graph, resized]: [Graph; 2],
    inputs: &[&str],
    state: &'a BTreeMap<String, Tensor>,
    metadata: &[(String, String)],
) -> Result<(ModelFile<'a>, Signature), Error> {
    let shape = |graph: &Graph, name: &str| graph.named(name).map(|value| graph.shape(value).clone());
    let is_dynamic = inputs
        .iter()
        .any(|name| shape(&graph, name) != shape(&resized, name));
    let resized = lower::lower_inference(&resized)?;
    let dynamic_batch = is_dynamic.then_some(DynamicBatch {
        name: "batch",
        resized: &resized,
    });
    let options = ExportOptions {
        name: "inference",
        fixed: Some(state),
        dynamic_batch,
        metadata,
        ..ExportOptions::default()
    };
    let inputs = inputs
        .iter()
        .filter_map(|name| Some(info(&graph, name, graph.named(name)?)));
    let outputs = graph.outputs().iter();
    let signature = Signature {
        inputs: inputs.collect(),
        outputs: outputs.map(|(name, value)| info(&graph, name, *value)).collect(),
        ..Signature::default()
    };
    let file = export::model_file(&lower::lower_inference(&graph)?, &options)?;
    Ok((file, signature))
}

/// The graph for a batch size.
fn build_graph(model: &ModelSpec, state: &BTreeMap<String, Tensor>, batch: usize) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let (mut outputs, missing) = model.in_graph(&mut graph, batch, |builder| {
        let parameters = builder.parameters().iter().map(|parameter| &parameter.name);
        let mut names = parameters.chain(builder.statistics().iter().map(|statistic| &statistic.name));
        names.find(|name| !state.contains_key(*name)).cloned()
    })?;
    if let Some(name) = missing {
        return Err(Error::MissingState { name });
    }
    if model.is_classifier() {
        let probabilities = graph.softmax(outputs[0].1)?;
        outputs.push(("probabilities".to_owned(), probabilities));
    }
    for (name, value) in outputs {
        graph.output(&name, value)?;
    }
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Backbone;
    use crate::program::{ResNet, initial_state};

    #[test]
    fn a_dynamic_batch_model_does_not_depend_on_the_batch_size_it_was_built_for() {
        let model = ModelSpec::from(ResNet {
            image_size: 32,
            ..ResNet::new(
                Backbone {
                    width: 2,
                    ..Backbone::RESNET18
                },
                2,
            )
        });
        let state = initial_state(&model, 1).expect("the model is valid");
        let [one, seven] = [1, 7].map(|batch| {
            compile(&model, &state, &[], batch)
                .expect("the model is valid")
                .0
                .to_bytes()
        });
        assert!(one == seven);
        assert!(one == inference(&model, &state, &[]).expect("the model is valid").model);
    }
}

//! Complete programs: ONNX models for the runtime, with signatures of their inputs, outputs and state.

mod builder;
mod deploy;
pub mod dropout;
mod error;
mod evaluation;
mod forward_backward;
mod grad_cam;
mod groups;
mod head;
mod images;
mod in_place;
mod inference;
mod loss;
mod norm_statistics;
mod pack;
mod precision;
mod signature;
mod spec;
#[cfg(test)]
mod tests;
mod train_parts;
mod train_step;
mod update;

use std::collections::BTreeMap;

pub use deploy::{DeploySpec, deploy};
pub use error::Error;
pub use evaluation::{evaluation, grad_cam_in_place};
pub use grad_cam::{add_grad_cam, grad_cam};
pub use groups::{LearningRate, ParameterGroup};
pub use head::features;
pub use images::Images;
pub use inference::{inference, inference_file};
pub use loss::{Loss, LossBuilder};
pub use norm_statistics::norm_statistics;
pub use pack::PACKED_INPUTS;
pub use precision::{Precision, UnknownPrecision};
pub use signature::{ClassInput, Role, Signature, StatePair, ValueInfo};
pub use spec::{Classifier, ModelSpec, ResNet, TrainSpec};
pub use train_parts::{TrainParts, parts_graphs, train_parts};
pub use train_step::{train_graph, train_step};

pub use crate::graph::export::{ModelFile, OPSET, OPSETS};
pub use crate::graph::import;
pub use crate::graph::{ElementType, Shape, Tensor};
pub use crate::nn::import::OnnxGraph;
pub use crate::nn::{
    Backbone, Dropout, Head, LastLayer, LayerGroup, OnnxModel, Parameter, Pixels, UnknownHead,
};
pub use crate::optim::{AdamW, Optimizer, Sgd};

use crate::graph::Graph;
use crate::nn::{Builder, init};

/// An ONNX model and its signature.
#[derive(Clone, Debug)]
pub struct Program {
    /// A serialised ONNX `ModelProto`.
    pub model: Vec<u8>,
    /// Its inputs, outputs and state.
    pub signature: Signature,
}

/// A model's initial parameters and running statistics, by name: drawn at random, or those of the imported network.
///
/// # Determinism
/// A pure function of its arguments; each tensor depends only on its name, its shape and the seed.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid.
pub fn initial_state(model: &ModelSpec, seed: u64) -> Result<BTreeMap<String, Tensor>, Error> {
    match model {
        ModelSpec::ResNet(_) | ModelSpec::ClassScales(_) => {
            with_model(model, |builder| init::state(builder, seed))
        }
        ModelSpec::Classifier(Classifier { network, .. }) => {
            with_model(model, |builder| network.state(builder, seed))
        }
        ModelSpec::Graph(graph) => with_model(model, |builder| graph.state(builder, seed)),
        ModelSpec::Head(whole) => {
            let names = state_shapes(model)?;
            let state = initial_state(whole, seed)?.into_iter();
            Ok(state.filter(|(name, _)| names.contains_key(name)).collect())
        }
    }
}

/// Random values for the head of a ResNet, or for the last layer of a classifier from a file, by name.
///
/// # Determinism
/// A pure function of its arguments.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid.
pub fn new_head(model: &ModelSpec, seed: u64) -> Result<BTreeMap<String, Tensor>, Error> {
    match model {
        ModelSpec::Classifier(Classifier { network, .. }) => {
            with_model(model, |builder| network.new_last_layer(builder, seed))
        }
        _ => initial_state(&ModelSpec::Head(Box::new(model.clone())), seed),
    }
}

/// The linear layer that computes a classifier's logits; `None` if another layer does.
#[must_use]
pub fn last_layer(model: &ModelSpec) -> Option<LastLayer> {
    match model {
        ModelSpec::ResNet(ResNet { head, .. }) => Some(head.last_layer()),
        ModelSpec::Classifier(Classifier { network, .. }) => network.last_layer(),
        ModelSpec::Head(whole) => last_layer(whole),
        ModelSpec::Graph(_) | ModelSpec::ClassScales(_) => None,
    }
}

/// Names and shapes of a model's parameters and running statistics.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid.
pub fn state_shapes(model: &ModelSpec) -> Result<BTreeMap<String, Shape>, Error> {
    with_model(model, |builder| {
        let parameters = builder.parameters().iter().map(|own| (&own.name, own.value));
        let statistics = builder.statistics().iter().map(|own| (&own.name, own.value));
        parameters
            .chain(statistics)
            .map(|(name, value)| (name.clone(), builder.graph.shape(value).clone()))
            .collect()
    })
}

/// Names of a model's parameters, in the order of its layers.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid.
pub fn parameter_names(model: &ModelSpec) -> Result<Vec<String>, Error> {
    with_model(model, |builder| {
        let parameters = builder.parameters().iter();
        parameters.map(|parameter| parameter.name.clone()).collect()
    })
}

/// Builds a model for one sample and passes its builder to `inspect`.
fn with_model<T>(model: &ModelSpec, inspect: impl FnOnce(&Builder<'_>) -> T) -> Result<T, Error> {
    Ok(model.in_graph(&mut Graph::new(), 1, inspect)?.1)
}

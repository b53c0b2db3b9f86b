//! Networks of others: a model that was read from an ONNX file, built anew from the operators of [`graph`](crate::graph), so that it can be
//! trained.
//!
//! # What of the file is trained
//!
//! Weights, biases and scales of layers (Conv, Gemm, MatMul, BatchNormalization, LayerNormalization, PRelu), and every other float tensor of
//! the file that meets a value which depends on one of them, such as the addend behind a MatMul. What comes before the first layer, such as
//! a mean that is subtracted from images, and numbers without an axis, such as the 2 of `2·x`, stay as they are; a learnt number needs the
//! shape `[1]`, and must not be what scales the operands of attention's products.
//!
//! # Which way it behaves
//!
//! A file may have been written for prediction or for training: batch norms are built in the form that the [`Mode`](super::Mode) asks for, and Dropout
//! nodes drop while training only.
//!
//! # Layout
//! - [`OnnxModel`]: the network; what of it can be replaced.
//! - `importer`: from node to node, and what is known of every value on the way; `groups`: which nodes are the head.
//! - `table`: the operators that are supported, and `convolution`, `elementwise`, `layout`, `linear`, `normalize`, `reduce` what they become.
//! - `known`: shapes and other numbers that the file computes, computed while it is read.

mod classifier_head;
mod const_fold;
mod convolution;
mod elementwise;
mod error;
mod importer;
mod layer_groups;
mod layout;
mod linear;
mod normalize;
mod operators;
mod reduce;

use std::collections::{BTreeMap, BTreeSet};

use self::classifier_head::ClassifierHead;
pub use self::error::Error;
use self::importer::Importer;
pub use self::operators::SUPPORTED;
use super::{Builder, init};
use crate::graph::import::{HostTensor, Model};
use crate::graph::{ElementType, Tensor, Value};

/// A network from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxModel {
    model: Model,
    classifier_head: ClassifierHead,
    head: Option<BTreeSet<String>>,
}

impl OnnxModel {
    /// The network of a model that takes `f32[N, 3, S, S]` and gives `[N, classes]`, in logits or, behind a softmax, in probabilities.
    ///
    /// # Errors
    /// [`Error::Network`] for a model with other inputs and outputs.
    pub fn new(model: Model) -> Result<Self, Error> {
        let network = |reason: String| Error::Network { reason };
        let [input] = &*model.inputs else {
            let names: Vec<&str> = model.inputs.iter().map(|input| &*input.name).collect();
            return Err(network(format!("it has not one input, but {names:?}")));
        };
        if input.element_type != Some(ElementType::F32) {
            let name = &input.name;
            return Err(network(format!("its input `{name}` holds no floats")));
        }
        if !matches!(*input.shape, [_, None | Some(3), _, _]) {
            let (name, shape) = (&input.name, &input.shape);
            return Err(network(format!(
                "its input `{name}` has shape {shape:?}, not [N, 3, S, S]"
            )));
        }
        let classifier_head = ClassifierHead::find(&model)?;
        let head = None;
        Ok(Self {
            model,
            classifier_head,
            head,
        })
    }

    /// The same with the head made of those tensors of the file whose names are meant, in the place of the layers that are found by
    /// themselves; `None` where no name is.
    #[must_use]
    pub fn with_head(self, is_meant: impl Fn(&str) -> bool) -> Option<Self> {
        let names = self.model.initializers.keys().filter(|name| is_meant(name));
        let head: BTreeSet<String> = names.cloned().collect();
        (!head.is_empty()).then_some(Self {
            head: Some(head),
            ..self
        })
    }

    /// Height and width of the images, in pixels; `None` where the file leaves them open.
    #[must_use]
    pub fn image_size(&self) -> Option<usize> {
        self.model.inputs[0].shape[2]
    }

    /// Logits of the file's last layer, where that is a linear one, which [`OnnxModel::build`] makes anew for another number.
    #[must_use]
    pub fn logits(&self) -> Option<usize> {
        self.classifier_head.linear().map(|linear| linear.outputs)
    }

    /// Key and value pairs kept in the file.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        &self.model.metadata
    }

    /// Wires the network and returns its logits.
    ///
    /// # Shapes
    /// `images: f32[N, 3, S, S] → f32[N, classes]`.
    ///
    /// # Errors
    /// [`Error::Operator`] and [`Error::Node`] for what is not supported, with the node's name; [`Error::Network`] where the logits are of
    /// another shape and cannot be replaced; [`Error::Graph`] where the file's own shapes do not fit.
    pub fn build(&self, b: &mut Builder<'_>, images: Value, classes: usize) -> Result<Value, Error> {
        let batch = b.graph.shape(images)[0];
        let mut importer = Importer::new(
            b,
            &self.model,
            (&self.classifier_head, self.head.as_ref()),
            classes,
        );
        let logits = importer.run(images)?;
        let found = b.graph.shape(logits);
        if **found == [batch, classes] {
            return Ok(logits);
        }
        Err(Error::Network {
            reason: format!(
                "its logits have shape {found}, not [N, {classes}], and its last layer is no linear one that could be replaced"
            ),
        })
    }

    /// What the file holds for a model that [`OnnxModel::build`] has built: all parameters and running statistics. A last layer of another
    /// size is drawn as PyTorch's `nn.LastLayer` draws it.
    ///
    /// # Determinism
    /// A pure function of the file, the model and the seed.
    #[must_use]
    pub fn state(&self, model: &Builder<'_>, seed: u64) -> BTreeMap<String, Tensor> {
        let parameters = model
            .parameters()
            .iter()
            .map(|parameter| (&parameter.name, parameter.value));
        let statistics = model
            .statistics()
            .iter()
            .map(|statistic| (&statistic.name, statistic.value));
        let start = |(name, value): (&String, Value)| {
            let shape = model.graph.shape(value).clone();
            let initializer =
                importer::origin(&self.model, name).filter(|initializer| initializer.shape == shape);
            let tensor = match (
                initializer.and_then(HostTensor::floats),
                self.classifier_head.linear(),
            ) {
                (Some(data), _) => Tensor {
                    shape,
                    data: data.to_vec(),
                },
                (None, Some(linear)) => init::uniform(name, &shape, linear.inputs, seed),
                (None, None) => Tensor::full(shape, 0.0),
            };
            (name.clone(), tensor)
        };
        parameters.chain(statistics).map(start).collect()
    }
}

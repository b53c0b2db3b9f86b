//! Imported ONNX networks: a model file rebuilt from the operators of [`graph`](crate::graph), so that it can be trained.
//!
//! # Trainable tensors
//!
//! Weights, biases and scales of layers (Conv, Einsum, Gemm, MatMul, norms, PRelu), and every other float initializer
//! that is combined with a value depending on one of them, such as the addend after a MatMul. Initializers before the first layer, such as a
//! mean subtracted from images, and scalars of rank 0, such as the 2 of `2·x`, are constants. A trainable scalar needs the shape `[1]`, and must
//! not be the scale of attention scores (1/√d).
//!
//! # Training and inference
//!
//! Whether the file was exported for training or for inference does not matter: batch norms are built for the requested
//! [`Mode`](super::Mode), and Dropout nodes drop in training only.
//!
//! # Layout
//! - [`OnnxGraph`]: a network with any inputs and outputs; [`OnnxModel`]: a classifier of images, and its replaceable last layer.
//! - `run`: visits the nodes; `importer`: tracks each value; `layer_groups`: assigns nodes to layer groups; `classifier_head`: finds the logits.
//! - `operators`: the table of supported operators; `operator`: an entry of it. A file such as `einsum` or `reduce` holds the entries and
//!   translations of one or more operators: to add an operator is to add an entry and its translation.
//! - `fold`: constant folding of shapes and other numbers; `dequantize`: quantized weights.

mod activation;
mod attention;
mod classifier_head;
mod comparison;
mod convolution;
mod cosine;
mod dequantize;
mod einsum;
mod elementwise;
mod error;
mod fold;
mod gather;
mod graph;
mod group_norm;
mod importer;
mod layer_groups;
mod layout;
mod linear;
mod node;
mod normalize;
mod operator;
mod operators;
mod pad;
mod pool;
mod reduce;
mod resize;
mod run;
mod variadic;
mod windows;
mod written_out;

use std::collections::{BTreeMap, BTreeSet};

use self::classifier_head::{ClassifierHead, Resized};
use self::dequantize::dequantized;
pub use self::error::Error;
pub use self::graph::OnnxGraph;
use self::importer::{Importer, Target};
pub use self::operators::supported;
use super::{Builder, LastLayer, init};
use crate::graph::import::{HostTensor, Model};
use crate::graph::{ElementType, Tensor, Value};

/// An imported network.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxModel {
    model: Model,
    classifier_head: ClassifierHead,
    head: Option<BTreeSet<String>>,
    /// Factor of the cosines that the last layer computes, if it does.
    cosine: Option<f32>,
}

impl OnnxModel {
    /// Checks inputs and outputs of a classifier: input `float[N, 3, S, S]`, output `[N, classes]`, either logits or, after a softmax,
    /// probabilities.
    ///
    /// # Errors
    /// [`Error::Network`] if the model has other inputs or outputs.
    pub fn new(model: Model) -> Result<Self, Error> {
        let network = |reason: String| Error::Network { reason };
        let [input] = &*model.inputs else {
            let names: Vec<&str> = model.inputs.iter().map(|input| &*input.name).collect();
            return Err(network(format!(
                "it has the inputs {names:?}, expected exactly one"
            )));
        };
        if !input.element_type.is_some_and(ElementType::is_float) {
            let name = &input.name;
            return Err(network(format!(
                "its input `{name}` is not of a floating-point type"
            )));
        }
        if !matches!(*input.shape, [_, None | Some(3), _, _]) {
            let (name, shape) = (&input.name, &input.shape);
            return Err(network(format!(
                "its input `{name}` has shape {shape:?}, expected [N, 3, S, S]"
            )));
        }
        let model = dequantized(model);
        let classifier_head = ClassifierHead::find(&model)?;
        let head = None;
        Ok(Self {
            model,
            classifier_head,
            head,
            cosine: None,
        })
    }

    /// Defines the head as the initializers whose names match, instead of the detected layers; `None` if no name matches.
    #[must_use]
    pub fn with_head(self, is_match: impl Fn(&str) -> bool) -> Option<Self> {
        let names = self.model.initializers.keys().filter(|name| is_match(name));
        let head: BTreeSet<String> = names.cloned().collect();
        (!head.is_empty()).then_some(Self {
            head: Some(head),
            ..self
        })
    }

    /// The last layer computes [`cosine`](super::cosine()) of its inputs and weights, with this scale; `None` if it is not linear.
    #[must_use]
    pub fn with_cosine_head(self, scale: f32) -> Option<Self> {
        self.classifier_head.linear()?;
        let cosine = Some(scale);
        Some(Self { cosine, ..self })
    }

    /// Height and width of the images, in pixels; `None` if they are dynamic in the file.
    #[must_use]
    pub fn image_size(&self) -> Option<usize> {
        self.model.inputs[0].shape[2]
    }

    /// Number of logits of the file's last layer, if that is linear; [`OnnxModel::build`] can then replace it by a layer of another size.
    #[must_use]
    pub fn logits(&self) -> Option<usize> {
        self.classifier_head.linear().map(|linear| linear.outputs)
    }

    /// The file's metadata, as key-value pairs.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        &self.model.metadata
    }

    /// Builds the network and returns its logits.
    ///
    /// # Shapes
    /// `images: f32[N, 3, S, S] → f32[N, classes]`.
    ///
    /// # Errors
    /// [`Error::Node`] or [`Error::Nodes`] name all unsupported nodes; [`Error::Network`] if the logits have another shape and the last layer
    /// cannot be replaced; [`Error::Graph`] if the file's shapes are inconsistent.
    pub fn build(&self, b: &mut Builder<'_>, images: Value, classes: usize) -> Result<Value, Error> {
        let batch = b.graph.shape(images)[0];
        let resized = self.resized(classes);
        let target = Target {
            outputs: std::slice::from_ref(&self.classifier_head.logits),
            resized: resized.as_slice(),
            head: self.head.as_ref(),
            cosine: self.cosine,
        };
        let logits = Importer::new(b, &self.model, target).run(&[images])?[0];
        let found = b.graph.shape(logits);
        if **found == [batch, classes] {
            return Ok(logits);
        }
        Err(Error::Network {
            reason: format!(
                "its logits have shape {found}, expected [N, {classes}], and its last layer is not linear, so it cannot be replaced"
            ),
        })
    }

    /// The file's state dictionary for a model built by [`OnnxModel::build`]: all parameters and running statistics. A last layer of another
    /// size is initialized like PyTorch's `nn.Linear`.
    ///
    /// # Determinism
    /// A pure function of the file, the model and the seed.
    #[must_use]
    pub fn state(&self, model: &Builder<'_>, seed: u64) -> BTreeMap<String, Tensor> {
        let classes = self.logits().unwrap_or_default();
        initial(&self.model, self.resized(classes).as_slice(), model, seed)
    }

    /// The file's last layer, if it is linear.
    #[must_use]
    pub fn last_layer(&self) -> Option<LastLayer> {
        let layer = self.classifier_head.linear()?;
        Some(LastLayer {
            weight: layer.weight.clone(),
            axis: layer.axis,
            // Cosines have none.
            bias: layer.bias.clone().filter(|_| self.cosine.is_none()),
        })
    }

    /// New values for the last layer of a model built by [`OnnxModel::build`], initialized like PyTorch's `nn.Linear`; empty if it is not linear.
    ///
    /// # Determinism
    /// A pure function of the file, the model and the seed.
    #[must_use]
    pub fn new_last_layer(&self, model: &Builder<'_>, seed: u64) -> BTreeMap<String, Tensor> {
        let Some(layer) = self.classifier_head.linear() else {
            return BTreeMap::new();
        };
        let parameters = model.parameters().iter();
        let own = parameters.filter(|own| own.name == layer.weight || Some(&own.name) == layer.bias.as_ref());
        let drawn = own.map(|own| {
            let shape = model.graph.shape(own.value);
            (
                own.name.clone(),
                init::uniform(&own.name, shape, layer.inputs, seed),
            )
        });
        drawn.collect()
    }

    /// The last layer with another number of outputs, if it can be replaced.
    fn resized(&self, outputs: usize) -> Option<Resized> {
        let layer = self.classifier_head.linear()?.clone();
        Some(Resized { layer, outputs })
    }
}

/// Initial values of a built model: those of the file, and for resized layers those of PyTorch's `nn.Linear`.
fn initial(model: &Model, resized: &[Resized], built: &Builder<'_>, seed: u64) -> BTreeMap<String, Tensor> {
    let parameters = built.parameters().iter();
    let parameters = parameters.map(|parameter| (&parameter.name, parameter.value));
    let statistics = built.statistics().iter();
    let statistics = statistics.map(|statistic| (&statistic.name, statistic.value));
    let start = |(name, value): (&String, Value)| {
        let shape = built.graph.shape(value).clone();
        let initializer = importer::origin(model, name).filter(|initializer| initializer.shape == shape);
        let is_of = |layer: &&Resized| layer.layer.weight == *name || layer.layer.bias.as_ref() == Some(name);
        // A copy of a shared bias has a name of its own.
        let resized = resized.iter().find(is_of).or(resized.first());
        let tensor = match (initializer.and_then(HostTensor::floats), resized) {
            (Some(data), _) => Tensor {
                shape,
                data: data.to_vec(),
            },
            (None, Some(resized)) => init::uniform(name, &shape, resized.layer.inputs, seed),
            (None, None) => Tensor::full(shape, 0.0),
        };
        (name.clone(), tensor)
    };
    parameters.chain(statistics).map(start).collect()
}

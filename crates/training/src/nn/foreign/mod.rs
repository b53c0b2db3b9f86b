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
//! - [`Foreign`]: the network; what of it can be replaced.
//! - `walk`: from node to node, and what is known of every value on the way; `groups`: which nodes are the head.
//! - `table`: the operators that are supported, and `convolution`, `elementwise`, `layout`, `linear`, `normalize`, `reduce` what they become.
//! - `known`: shapes and other numbers that the file computes, computed while it is read.

mod convolution;
mod elementwise;
mod end;
mod error;
mod groups;
mod known;
mod layout;
mod linear;
mod normalize;
mod reduce;
mod table;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use self::end::End;
pub use self::error::Error;
pub use self::table::SUPPORTED;
use self::walk::Walk;
use super::{Builder, initial};
use crate::graph::import::{HostTensor, Model};
use crate::graph::{ElementType, Tensor, Value};

/// A network from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    model: Model,
    end: End,
    head: Option<BTreeSet<String>>,
}

impl Foreign {
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
        let end = End::find(&model)?;
        let head = None;
        Ok(Self { model, end, head })
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

    /// Logits of the file's last layer, where that is a linear one, which [`Foreign::build`] makes anew for another number.
    #[must_use]
    pub fn logits(&self) -> Option<usize> {
        self.end.linear().map(|linear| linear.outputs)
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
        let mut walk = Walk::new(b, &self.model, (&self.end, self.head.as_ref()), classes);
        let logits = walk.run(images)?;
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

    /// What the file holds for a model that [`Foreign::build`] has built: all parameters and running statistics. A last layer of another
    /// size is drawn as PyTorch's `nn.Linear` draws it.
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
            let kept = walk::origin(&self.model, name).filter(|kept| kept.shape == shape);
            let tensor = match (kept.and_then(HostTensor::floats), self.end.linear()) {
                (Some(data), _) => Tensor {
                    shape,
                    data: data.to_vec(),
                },
                (None, Some(linear)) => initial::uniform(name, &shape, linear.inputs, seed),
                (None, None) => Tensor::full(shape, 0.0),
            };
            (name.clone(), tensor)
        };
        parameters.chain(statistics).map(start).collect()
    }
}

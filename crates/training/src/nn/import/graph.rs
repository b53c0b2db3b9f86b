use std::collections::BTreeMap;

use super::classifier_head::{Resized, linear_layers};
use super::dequantize::dequantized;
use super::importer::{Importer, Target};
use super::{Builder, Error, initial};
use crate::graph::import::Model;
use crate::graph::{ElementType, Tensor, TensorType, Value};

/// An imported network with any inputs and outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxGraph {
    model: Model,
    resized: Vec<Resized>,
}

impl OnnxGraph {
    /// The network of a model file.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self {
            model: dequantized(model),
            resized: vec![],
        }
    }

    /// Gives a linear layer another number of outputs and new initial values, those of PyTorch's `nn.Linear`. `name` is the name of its weight
    /// with or without `.weight`.
    ///
    /// # Errors
    /// [`Error::Network`] if the file has no such layer, or `outputs` is 0.
    pub fn replace_linear(mut self, name: &str, outputs: usize) -> Result<Self, Error> {
        let is_named = |weight: &str| weight == name || weight.strip_suffix(".weight") == Some(name);
        let layer = linear_layers(&self.model).find(|layer| is_named(&layer.weight));
        let Some(layer) = layer else {
            let weights: Vec<String> = linear_layers(&self.model).map(|layer| layer.weight).collect();
            let reason =
                format!("it has no linear layer `{name}`; the weights of its linear layers are {weights:?}");
            return Err(Error::Network { reason });
        };
        if outputs == 0 {
            let reason = format!("its linear layer `{name}` needs at least 1 output, not 0");
            return Err(Error::Network { reason });
        }
        self.resized.push(Resized { layer, outputs });
        Ok(self)
    }

    /// Names and types of the inputs for a batch size, which replaces a dynamic first extent.
    ///
    /// # Errors
    /// [`Error::Network`] if an input has an unsupported element type or another dynamic extent.
    pub fn inputs(&self, batch: usize) -> Result<Vec<(String, TensorType)>, Error> {
        let refused = |reason: String| Error::Network { reason };
        let inputs = self.model.inputs.iter().map(|input| {
            let name = &input.name;
            let Some(element_type) = input.element_type else {
                return Err(refused(format!(
                    "its input `{name}` has an unsupported element type"
                )));
            };
            // The network is built in single precision; autocast chooses another.
            let element_type = if element_type.is_float() {
                ElementType::F32
            } else {
                element_type
            };
            let mut shape = input.shape.clone();
            if let Some(first @ None) = shape.first_mut() {
                *first = Some(batch);
            }
            let fixed: Option<Vec<usize>> = shape.into_iter().collect();
            let Some(shape) = fixed else {
                return Err(refused(format!(
                    "its input `{name}` has shape {:?}: only the first extent may be dynamic",
                    input.shape
                )));
            };
            Ok((name.clone(), TensorType::new(element_type, shape)))
        });
        inputs.collect()
    }

    /// Builds the network and returns its outputs by name.
    ///
    /// # Errors
    /// [`Error::Node`] or [`Error::Nodes`] name all unsupported nodes; [`Error::Network`] if an output does not depend on the inputs;
    /// [`Error::Graph`] if the file's shapes are inconsistent.
    pub fn build(&self, b: &mut Builder<'_>, inputs: &[Value]) -> Result<Vec<(String, Value)>, Error> {
        let outputs = &self.model.outputs;
        let target = Target {
            outputs,
            resized: &self.resized,
            head: None,
            cosine: None,
        };
        let values = Importer::new(b, &self.model, target).run(inputs)?;
        Ok(outputs.iter().cloned().zip(values).collect())
    }

    /// The file's state dictionary for a model built by [`OnnxGraph::build`]: all parameters and running statistics.
    ///
    /// # Determinism
    /// A pure function of the file, the replaced layers and the seed.
    #[must_use]
    pub fn state(&self, model: &Builder<'_>, seed: u64) -> BTreeMap<String, Tensor> {
        initial(&self.model, &self.resized, model, seed)
    }
}

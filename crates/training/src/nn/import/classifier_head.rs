use super::Error;
use crate::graph::import::{Model, ModelNode};

/// The logits of a network, and its last layer if that can be replaced.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClassifierHead {
    /// Name of the logits.
    pub(super) logits: String,
    linear: Option<LinearLayer>,
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LinearLayer {
    /// Name of the weight.
    pub(super) weight: String,
    /// The weight's output axis.
    pub(super) axis: usize,
    /// Input features.
    pub(super) inputs: usize,
    /// Output features.
    pub(super) outputs: usize,
    /// Name of the bias.
    pub(super) bias: Option<String>,
}

impl ClassifierHead {
    /// Finds the logits: the output named `logits` or the only output, or, if a softmax computes it, the softmax's input.
    pub(super) fn find(model: &Model) -> Result<Self, Error> {
        let mut logits = match model.outputs.iter().find(|name| *name == "logits") {
            Some(name) => name,
            None if model.outputs.len() == 1 => &model.outputs[0],
            None => {
                let reason = format!(
                    "it has the outputs {:?}, expected exactly one, or one named `logits`",
                    model.outputs
                );
                return Err(Error::Network { reason });
            }
        };
        // Bounded by the number of nodes: a crafted file may contain a cycle.
        for _ in &model.nodes {
            let node = producer(model, logits)
                .filter(|node| matches!(&*node.operator, "Softmax" | "LogSoftmax" | "Identity"));
            match node.and_then(|node| node.inputs.first()) {
                Some(before) => logits = before,
                None => break,
            }
        }
        Ok(Self {
            logits: logits.clone(),
            linear: linear(model, logits),
        })
    }

    pub(super) fn linear(&self) -> Option<&LinearLayer> {
        self.linear.as_ref()
    }
}

/// A linear layer with another number of outputs than in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resized {
    pub(super) layer: LinearLayer,
    /// The number of outputs.
    pub(super) outputs: usize,
}

/// The linear layers of a model, the last one first.
pub(super) fn linear_layers(model: &Model) -> impl Iterator<Item = LinearLayer> {
    let outputs = model.nodes.iter().rev().filter_map(|node| node.outputs.first());
    outputs.filter_map(|output| linear(model, output))
}

fn producer<'m>(model: &'m Model, name: &str) -> Option<&'m ModelNode> {
    model
        .nodes
        .iter()
        .find(|node| node.outputs.iter().any(|output| output == name))
}

/// The layer that computes a value: a Gemm with an initializer as its weight, or such a MatMul with an optional Add after it.
fn linear(model: &Model, value: &str) -> Option<LinearLayer> {
    let node = producer(model, value)?;
    let initializer = |node: &ModelNode, operand: usize| {
        let name = node.inputs.get(operand)?;
        model.initializers.contains_key(name).then(|| name.clone())
    };
    let of = |weight: String, axis: usize, bias: Option<String>| {
        let shape = &model.initializers[&weight].shape;
        let [inputs, outputs] = [*shape.get(1 - axis)?, *shape.get(axis)?];
        (shape.len() == 2).then_some(LinearLayer {
            weight,
            axis,
            inputs,
            outputs,
            bias,
        })
    };
    match &*node.operator {
        "Gemm" => {
            let axis = if node.attributes.int("transB") == Some(1) {
                0
            } else {
                1
            };
            of(initializer(node, 1)?, axis, initializer(node, 2))
        }
        "MatMul" => of(initializer(node, 1)?, 1, None),
        "Add" => {
            let bias = initializer(node, 0).or_else(|| initializer(node, 1))?;
            let product = node.inputs.iter().find(|name| **name != bias)?;
            let product = producer(model, product).filter(|product| product.operator == "MatMul")?;
            of(initializer(product, 1)?, 1, Some(bias))
        }
        _ => None,
    }
}

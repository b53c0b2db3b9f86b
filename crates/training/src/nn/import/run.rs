use std::collections::HashSet;

use super::fold::FoldBudget;
use super::importer::{Importer, Item, Target};
use super::layer_groups::NodeGroups;
use super::node::node_error;
use super::{Error, cosine, fold, operators};
use crate::graph::Value;
use crate::graph::import::{Elements, ModelNode};
use crate::nn::LayerGroup;

/// The reason of a node whose operator is not supported.
const UNKNOWN: &str = "unknown operator";

impl Importer<'_, '_> {
    /// Builds everything up to the outputs of the target. `inputs` are the values of the model's inputs, in its order.
    ///
    /// Nodes that are not supported are collected. Nodes that read their outputs are skipped, unless their operator is not supported either.
    pub(super) fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>, Error> {
        let (model, Target { outputs, head, .. }) = (self.model, self.target);
        for (input, &value) in model.inputs.iter().zip(inputs) {
            self.items.insert(input.name.clone(), Item::Value(value));
        }
        for (name, tensor) in &model.initializers {
            let item = match &tensor.elements {
                Elements::F32(data)
                    if !data.is_empty() && !tensor.shape.is_empty() && !model.is_constant(name) =>
                {
                    Item::Weight(name.clone())
                }
                _ => Item::Constant(tensor.clone()),
            };
            self.items.insert(name.clone(), item);
        }
        let groups = NodeGroups::of(model, outputs.first().map_or("", String::as_str));
        let (mut errors, mut unknown): (Vec<Error>, HashSet<&String>) = (vec![], HashSet::new());
        for (position, node) in model.nodes.iter().enumerate() {
            if outputs.iter().all(|output| self.items.contains_key(output)) {
                break;
            }
            self.group = match groups.at(position) {
                LayerGroup::Head if head.is_some() => LayerGroup::Late,
                group => group,
            };
            let is_skipped = node.inputs.iter().any(|name| unknown.contains(name));
            let result = if operators::find(&node.operator).is_none() {
                Err(node_error(node, UNKNOWN))
            } else if is_skipped {
                Ok(())
            } else {
                self.step(node)
            };
            let is_failed = result.is_err();
            match result {
                Ok(()) => {}
                Err(error @ Error::Node { .. }) => errors.push(error),
                // Shapes that do not fit each other may follow from a node that is not supported.
                Err(error) if errors.is_empty() => return Err(error),
                Err(_) => {}
            }
            if is_skipped || is_failed {
                unknown.extend(&node.outputs);
            }
        }
        if let Some(error) = of_nodes(errors) {
            return Err(error);
        }
        let value = |output: &String| match self.items.get(output) {
            Some(Item::Value(value)) => Ok(*value),
            _ => Err(Error::Network {
                reason: format!("`{output}` does not depend on its input"),
            }),
        };
        outputs.iter().map(value).collect()
    }

    fn step(&mut self, node: &ModelNode) -> Result<(), Error> {
        let operator = operators::find(&node.operator).ok_or_else(|| node_error(node, UNKNOWN))?;
        if operator.is_alias() {
            let same = self.item(node, 0)?.clone();
            self.items
                .extend(node.outputs.first().map(|name| (name.clone(), same)));
            return Ok(());
        }
        let operands: Vec<Option<&Item>> = node.inputs.iter().map(|name| self.items.get(name)).collect();
        let budget = FoldBudget::of(node, self.folded_elements_left);
        let results = match fold::fold(&budget, &operands, self)? {
            Some(known) => {
                self.reserve(node, known.elements.len())?;
                vec![Item::Constant(known)]
            }
            None => {
                let results = match cosine::translate(self, node)? {
                    Some(cosines) => vec![cosines],
                    None => operator.translate(self, node)?,
                };
                if let Some(empty) = results.iter().find(|value| self.shape(**value).contains(&0)) {
                    let shape = self.shape(*empty);
                    return Err(node_error(
                        node,
                        format!("its result has shape {shape}: empty tensors are not supported"),
                    ));
                }
                if self.depends_on_trainable(node) {
                    self.trainable.extend(results.iter().copied());
                }
                results.into_iter().map(Item::Value).collect()
            }
        };
        for (name, item) in node.outputs.iter().zip(results) {
            self.items.insert(name.clone(), item);
        }
        Ok(())
    }
}

/// One error for all nodes that are not supported; `None` if there are none.
fn of_nodes(mut errors: Vec<Error>) -> Option<Error> {
    let is_unknown = |error: &Error| matches!(error, Error::Node { reason, .. } if reason == UNKNOWN);
    let hint = match errors.iter().any(is_unknown) {
        true => format!(
            "; the supported operators are {}",
            operators::supported().join(" ")
        ),
        false => String::new(),
    };
    match &mut *errors {
        [] => None,
        [Error::Node { reason, .. }] => {
            reason.push_str(&hint);
            errors.pop()
        }
        _ => Some(Error::Nodes { errors, hint }),
    }
}

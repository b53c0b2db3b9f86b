use super::fold_budget::FoldBudget;
use super::importer::{Importer, Item, Target};
use super::layer_groups::NodeGroups;
use super::node::node_error;
use super::{Error, const_fold, cosine, operators, supported};
use crate::graph::Value;
use crate::graph::import::{Elements, ModelNode};
use crate::nn::LayerGroup;

impl Importer<'_, '_> {
    /// Builds everything up to the outputs of the target. `inputs` are the values of the model's inputs, in its order.
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
        for (position, node) in model.nodes.iter().enumerate() {
            if outputs.iter().all(|output| self.items.contains_key(output)) {
                break;
            }
            self.group = match groups.at(position) {
                LayerGroup::Head if head.is_some() => LayerGroup::Late,
                group => group,
            };
            self.step(node)
                .map_err(|error| with_others(error, &model.nodes[position..]))?;
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
        if node.operator == "Identity" {
            // An alias.
            let same = self.item(node, 0)?.clone();
            self.items
                .extend(node.outputs.first().map(|name| (name.clone(), same)));
            return Ok(());
        }
        let operands: Vec<Option<&Item>> = node.inputs.iter().map(|name| self.items.get(name)).collect();
        let budget = FoldBudget::of(node, self.folded_elements_left);
        let results = match const_fold::fold(&budget, &operands, self)? {
            Some(known) => {
                self.reserve(node, known.elements.len())?;
                vec![Item::Constant(known)]
            }
            None => {
                let results = match cosine::translate(self, node)? {
                    Some(cosines) => vec![cosines],
                    None => operators::translate(self, node)?,
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

    fn depends_on_trainable(&self, node: &ModelNode) -> bool {
        node.inputs.iter().any(|name| match self.items.get(name) {
            Some(Item::Value(value)) => self.trainable.contains(value),
            Some(Item::Weight(weight)) => {
                let parameters = self.parameters.get(weight);
                parameters.is_some_and(|value| self.trainable.contains(value))
            }
            Some(Item::Constant(_)) | None => false,
        })
    }
}

/// Adds the other unsupported operators of `nodes` to an error.
fn with_others(mut error: Error, nodes: &[ModelNode]) -> Error {
    if let Error::Operator { operator, others, .. } = &mut error {
        others.extend(
            supported::unsupported(nodes)
                .into_iter()
                .filter(|other| other != operator),
        );
    }
    error
}

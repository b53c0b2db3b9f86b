use std::collections::{HashMap, HashSet};

use super::end::End;
use super::{Error, known, table};
use crate::graph::import::{Elements, HostTensor, Model, ModelNode};
use crate::graph::{Constant, Op, Shape, TensorType, Value};
use crate::nn::{Builder, Kind, LayerGroup, Mode};

/// What a name in the file stands for.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A value of the graph.
    Value(Value),
    /// Numbers that are known while the file is read.
    Known(HostTensor),
    /// Floats of the file that nobody has used yet: whether they are learnt is decided by their first use.
    Weight(String),
}

/// The way through a model, node by node.
pub(super) struct Walk<'w, 'g> {
    pub(super) b: &'w mut Builder<'g>,
    model: &'w Model,
    end: &'w End,
    classes: usize,
    items: HashMap<String, Item>,
    /// Values that depend on something that is learnt.
    learnt: HashSet<Value>,
    /// Weights that have been used, as what they were used first.
    used: HashMap<String, Value>,
}

impl<'w, 'g> Walk<'w, 'g> {
    pub(super) fn new(b: &'w mut Builder<'g>, model: &'w Model, end: &'w End, classes: usize) -> Self {
        Self {
            b,
            model,
            end,
            classes,
            items: HashMap::new(),
            learnt: HashSet::new(),
            used: HashMap::new(),
        }
    }

    /// Builds everything up to the logits.
    pub(super) fn run(&mut self, images: Value) -> Result<Value, Error> {
        let model = self.model;
        self.items
            .insert(model.inputs[0].name.clone(), Item::Value(images));
        for (name, tensor) in &model.initializers {
            let item = match &tensor.elements {
                Elements::F32(data) if data.len() > 1 => Item::Weight(name.clone()),
                _ => Item::Known(tensor.clone()),
            };
            self.items.insert(name.clone(), item);
        }
        let groups = Groups::of(model);
        for (position, node) in model.nodes.iter().enumerate() {
            if self.items.contains_key(&self.end.logits) {
                break;
            }
            self.b.group = groups.at(position);
            self.step(node)
                .map_err(|error| with_others(error, &model.nodes[position..]))?;
        }
        match self.items.get(&self.end.logits) {
            Some(Item::Value(logits)) => Ok(*logits),
            _ => Err(Error::Network {
                reason: format!("`{}` does not depend on its input", self.end.logits),
            }),
        }
    }

    fn step(&mut self, node: &ModelNode) -> Result<(), Error> {
        let operands: Vec<Option<&Item>> = node.inputs.iter().map(|name| self.items.get(name)).collect();
        let results = match known::fold(node, &operands, |item| self.shape_of(item))? {
            Some(known) => vec![Item::Known(known)],
            None => {
                let results = table::translate(self, node)?;
                if self.depends_on_learnt(node) {
                    self.learnt.extend(results.iter().copied());
                }
                results.into_iter().map(Item::Value).collect()
            }
        };
        for (name, item) in node.outputs.iter().zip(results) {
            self.items.insert(name.clone(), item);
        }
        Ok(())
    }

    fn depends_on_learnt(&self, node: &ModelNode) -> bool {
        node.inputs.iter().any(|name| match self.items.get(name) {
            Some(Item::Value(value)) => self.learnt.contains(value),
            Some(Item::Weight(weight)) => {
                let used = self.used.get(weight);
                used.is_some_and(|value| self.learnt.contains(value))
            }
            Some(Item::Known(_)) | None => false,
        })
    }

    /// Whether an operand is there: optional ones may be left out.
    pub(super) fn has(&self, node: &ModelNode, operand: usize) -> bool {
        node.inputs.get(operand).is_some_and(|name| !name.is_empty())
    }

    fn item(&self, node: &ModelNode, operand: usize) -> Result<&Item, Error> {
        let name = node
            .inputs
            .get(operand)
            .ok_or_else(|| refused(node, format!("it lacks operand {operand}")))?;
        self.items.get(name).ok_or_else(|| {
            refused(
                node,
                format!("it reads `{name}`, which no supported result before it is"),
            )
        })
    }

    /// An operand as a value. A weight is a constant here, unless it is learnt already.
    pub(super) fn value(&mut self, node: &ModelNode, operand: usize) -> Result<Value, Error> {
        match self.item(node, operand)?.clone() {
            Item::Value(value) => Ok(value),
            Item::Known(tensor) => self.constant(node, &tensor),
            Item::Weight(name) => {
                if let Some(&value) = self.used.get(&name) {
                    return Ok(value);
                }
                let value = self.constant(node, &self.model.initializers[&name])?;
                self.used.insert(name, value);
                Ok(value)
            }
        }
    }

    /// An operand that is learnt where it stands in the file.
    pub(super) fn parameter(&mut self, node: &ModelNode, operand: usize, kind: Kind) -> Result<Value, Error> {
        let Item::Weight(name) = self.item(node, operand)?.clone() else {
            return self.value(node, operand);
        };
        if let Some(&value) = self.used.get(&name) {
            return Ok(value);
        }
        let shape = self.shape_of_weight(&name);
        let value = self.b.named_parameter(&name, kind, shape)?;
        self.learnt.insert(value);
        self.used.insert(name, value);
        Ok(value)
    }

    /// Two operands that meet: what stands in the file is learnt where the other one depends on something that is.
    pub(super) fn pair(&mut self, node: &ModelNode) -> Result<[Value; 2], Error> {
        let is_learnt = |walk: &Self, operand| match walk.item(node, operand) {
            Ok(Item::Value(value)) => walk.learnt.contains(value),
            _ => false,
        };
        let [left, right] = [is_learnt(self, 0), is_learnt(self, 1)];
        let mut resolve = |operand, other| {
            if other {
                self.parameter(node, operand, Kind::Other)
            } else {
                self.value(node, operand)
            }
        };
        Ok([resolve(0, right)?, resolve(1, left)?])
    }

    /// A batch norm's own tensors, by name.
    pub(super) fn weight_names<const COUNT: usize>(
        &self,
        node: &ModelNode,
        operands: [usize; COUNT],
    ) -> Result<[String; COUNT], Error> {
        let mut names = operands.map(|_| String::new());
        for (name, operand) in names.iter_mut().zip(operands) {
            let Item::Weight(weight) = self.item(node, operand)? else {
                return Err(refused(
                    node,
                    format!("operand {operand} does not stand in the file"),
                ));
            };
            if self.used.contains_key(weight) {
                return Err(refused(node, format!("`{weight}` is used twice")));
            }
            name.clone_from(weight);
        }
        Ok(names)
    }

    fn shape_of(&self, item: &Item) -> Shape {
        match item {
            Item::Value(value) => self.shape(*value).clone(),
            Item::Known(tensor) => tensor.shape.clone(),
            Item::Weight(name) => self.shape_of_weight(name),
        }
    }

    /// Extents of a weight, after the last layer was given the number of classes asked for.
    fn shape_of_weight(&self, name: &str) -> Shape {
        let mut shape = self.model.initializers[name].shape.to_vec();
        if let Some(linear) = self.end.linear() {
            if linear.weight == name {
                shape[linear.axis] = self.classes;
            } else if linear.bias.as_deref() == Some(name) {
                // Exporters write it as `[K]` or `[1, K]`.
                shape
                    .iter_mut()
                    .filter(|extent| **extent == linear.outputs)
                    .for_each(|extent| {
                        *extent = self.classes;
                    });
            }
        }
        shape.into()
    }

    /// Numbers that are known, where they are a list of whole ones.
    pub(super) fn integers(&self, node: &ModelNode, operand: usize) -> Result<Vec<i64>, Error> {
        match self.item(node, operand)? {
            Item::Known(tensor) if tensor.integers().is_some() => {
                Ok(tensor.integers().unwrap_or_default().to_vec())
            }
            _ => {
                let name = &node.inputs[operand];
                Err(refused(node, format!("`{name}` is computed at run time")))
            }
        }
    }

    /// A single number that is known; `None` where the operand is left out.
    pub(super) fn number(&self, node: &ModelNode, operand: usize) -> Result<Option<f32>, Error> {
        if !self.has(node, operand) {
            return Ok(None);
        }
        match self.item(node, operand)? {
            Item::Known(tensor) => match &tensor.elements {
                Elements::F32(data) if data.len() == 1 => return Ok(Some(data[0])),
                #[expect(clippy::cast_precision_loss, reason = "such numbers are small")]
                Elements::I64(data) if data.len() == 1 => return Ok(Some(data[0] as f32)),
                _ => {}
            },
            Item::Value(_) | Item::Weight(_) => {}
        }
        let name = &node.inputs[operand];
        Err(refused(node, format!("`{name}` is not one number that is known")))
    }

    fn constant(&mut self, node: &ModelNode, tensor: &HostTensor) -> Result<Value, Error> {
        let data = match &tensor.elements {
            Elements::F32(data) if tensor.shape.is_empty() => return Ok(self.b.graph.scalar(data[0])),
            Elements::F32(data) => Constant::F32(data.clone()),
            Elements::I64(data) => Constant::I64(data.clone()),
            Elements::Bool(_) => return Err(refused(node, "it reads constant truth values")),
        };
        Ok(self.b.graph.constant(tensor.shape.clone(), data)?)
    }

    /// Wires operators in the scope of a node.
    pub(super) fn wire<T>(
        &mut self,
        node: &ModelNode,
        build: impl FnOnce(&mut crate::graph::Graph) -> Result<T, crate::graph::Error>,
    ) -> Result<T, Error> {
        Ok(self.b.layer(&scope(node), build)?)
    }

    /// Wires one operator in the scope of a node.
    pub(super) fn single(&mut self, node: &ModelNode, op: Op, operands: &[Value]) -> Result<Value, Error> {
        self.wire(node, |g| g.single(op, operands))
    }

    pub(super) fn tensor_type(&self, value: Value) -> &TensorType {
        self.b.graph.tensor_type(value)
    }

    pub(super) fn shape(&self, value: Value) -> &Shape {
        self.b.graph.shape(value)
    }

    pub(super) fn mode(&self) -> Mode {
        self.b.mode
    }
}

/// A node's name as a scope: `/layer1/conv1/Conv` stands in `layer1/conv1`.
pub(super) fn scope(node: &ModelNode) -> String {
    let name = node.name.trim_matches('/');
    let last = name
        .strip_suffix(&*node.operator)
        .and_then(|rest| rest.strip_suffix('/'));
    last.unwrap_or(name).to_owned()
}

pub(super) fn refused(node: &ModelNode, reason: impl Into<String>) -> Error {
    Error::Node {
        node: node.name.clone(),
        operator: node.operator.clone(),
        reason: reason.into(),
    }
}

/// Refuses attributes besides those that are understood.
pub(super) fn only(node: &ModelNode, understood: &[&str]) -> Result<(), Error> {
    match node.attributes.names().find(|name| !understood.contains(name)) {
        Some(name) => Err(refused(node, format!("its attribute `{name}` is not understood"))),
        None => Ok(()),
    }
}

/// An axis as counted from the first one.
pub(super) fn axis_of(node: &ModelNode, axis: i64, rank: usize) -> Result<usize, Error> {
    let rank_signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_first = if axis < 0 { axis + rank_signed } else { axis };
    usize::try_from(from_first)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| refused(node, format!("there is no axis {axis} among {rank}")))
}

/// Where the three groups of layers begin, by position of nodes.
///
/// The head is what comes behind the last convolution's pooling or flattening, or without convolutions the last linear layer; the late half
/// of the body begins at the middle one of its convolutions (linear layers where there are none).
struct Groups {
    late: usize,
    head: usize,
}

impl Groups {
    fn of(model: &Model) -> Self {
        let positions = |operators: &[&str]| -> Vec<usize> {
            let nodes = model.nodes.iter().enumerate();
            let layers = nodes.filter(|(_, node)| {
                operators.contains(&&*node.operator)
                    && node
                        .inputs
                        .iter()
                        .any(|name| model.initializers.contains_key(name))
            });
            layers.map(|(position, _)| position).collect()
        };
        let convolutions = positions(&["Conv"]);
        if let Some(&last) = convolutions.last() {
            let ends = |node: &ModelNode| {
                matches!(
                    &*node.operator,
                    "GlobalAveragePool"
                        | "GlobalMaxPool"
                        | "ReduceMean"
                        | "Flatten"
                        | "Reshape"
                        | "Gemm"
                        | "MatMul"
                )
            };
            let behind = model.nodes[last..].iter().position(ends);
            let head = behind.map_or(last, |behind| last + behind);
            let late = convolutions[convolutions.len() / 2];
            return Self { late, head };
        }
        let layers = positions(&["Gemm", "MatMul"]);
        Self {
            late: layers.get(layers.len() / 2).copied().unwrap_or(0),
            head: layers.last().copied().unwrap_or(0),
        }
    }

    fn at(&self, position: usize) -> LayerGroup {
        if position >= self.head {
            LayerGroup::Head
        } else if position >= self.late {
            LayerGroup::Late
        } else {
            LayerGroup::Early
        }
    }
}

/// An error that names all operators that are not supported, not only the first.
fn with_others(mut error: Error, nodes: &[ModelNode]) -> Error {
    if let Error::Operator { operator, others, .. } = &mut error {
        others.extend(
            table::unsupported(nodes)
                .into_iter()
                .filter(|other| other != operator),
        );
    }
    error
}

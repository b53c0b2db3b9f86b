use std::collections::{BTreeSet, HashMap, HashSet};

use super::Error;
use super::classifier_head::Resized;
use super::fold::{FoldBudget, MAX_FOLDED_ELEMENTS};
use super::node::{node_error, scope};
use crate::graph::import::{Elements, HostTensor, Model, ModelNode};
use crate::graph::op::Pad;
use crate::graph::{Constant, ElementType, Op, Origin, Shape, TensorType, Value};
use crate::nn::{Builder, LayerGroup, Mode, ParameterKind};

/// The referent of a name in the file.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A value of the graph.
    Value(Value),
    /// A constant, from the file or folded.
    Constant(HostTensor),
    /// A float initializer: its uses decide whether it becomes a parameter or a constant.
    Weight(String),
}

/// What is built of a model.
#[derive(Clone, Copy)]
pub(super) struct Target<'w> {
    /// Names of the values to build; nodes after the last of them are skipped.
    pub(super) outputs: &'w [String],
    /// Linear layers with another number of outputs than in the file.
    pub(super) resized: &'w [Resized],
    /// Initializers selected as the head.
    pub(super) head: Option<&'w BTreeSet<String>>,
    /// Factor of the cosines that the last layer computes, if it does.
    pub(super) cosine: Option<f32>,
}

/// Imports a model node by node.
pub(super) struct Importer<'w, 'g> {
    pub(super) b: &'w mut Builder<'g>,
    pub(super) model: &'w Model,
    pub(super) target: Target<'w>,
    /// Layer group of the current node.
    pub(super) group: LayerGroup,
    pub(super) items: HashMap<String, Item>,
    /// Values that depend on a trainable parameter.
    pub(super) trainable: HashSet<Value>,
    /// Parameters created from initializers, by the initializer's name.
    pub(super) parameters: HashMap<String, Value>,
    /// Constants of the graph, by name in the file.
    constants: HashMap<String, Value>,
    /// Remaining budget of constant folding.
    pub(super) folded_elements_left: usize,
}

impl<'w, 'g> Importer<'w, 'g> {
    pub(super) fn new(b: &'w mut Builder<'g>, model: &'w Model, target: Target<'w>) -> Self {
        Self {
            b,
            model,
            target,
            group: LayerGroup::Early,
            items: HashMap::new(),
            trainable: HashSet::new(),
            parameters: HashMap::new(),
            constants: HashMap::new(),
            folded_elements_left: MAX_FOLDED_ELEMENTS,
        }
    }

    /// Takes `numbers` elements from the constant-folding budget.
    ///
    /// # Errors
    /// [`Error::Node`] if the budget is exceeded.
    pub(super) fn reserve(&mut self, node: &ModelNode, numbers: usize) -> Result<(), Error> {
        FoldBudget::of(node, self.folded_elements_left).check(numbers)?;
        self.folded_elements_left -= numbers;
        Ok(())
    }

    /// Whether an optional operand is present.
    pub(super) fn has(&self, node: &ModelNode, operand: usize) -> bool {
        node.inputs.get(operand).is_some_and(|name| !name.is_empty())
    }

    pub(super) fn item(&self, node: &ModelNode, operand: usize) -> Result<&Item, Error> {
        let name = node
            .inputs
            .get(operand)
            .ok_or_else(|| node_error(node, format!("operand {operand} is missing")))?;
        self.items.get(name).ok_or_else(|| {
            node_error(
                node,
                format!("it reads `{name}`, which is not the output of a supported earlier node"),
            )
        })
    }

    /// An operand as a graph value. An initializer becomes a constant, unless it is a parameter already.
    pub(super) fn value(&mut self, node: &ModelNode, operand: usize) -> Result<Value, Error> {
        let name = node.inputs.get(operand).cloned().unwrap_or_default();
        let tensor = match self.item(node, operand)? {
            Item::Value(value) => return Ok(*value),
            Item::Constant(tensor) => tensor.clone(),
            Item::Weight(weight) => match self.parameters.get(weight) {
                Some(&value) => return Ok(value),
                None => self.model.initializers[weight].clone(),
            },
        };
        if let Some(&value) = self.constants.get(&name) {
            return Ok(value);
        }
        let value = self.constant(node, &tensor)?;
        self.constants.insert(name, value);
        Ok(value)
    }

    /// An operand that becomes a trainable parameter if it is an initializer.
    ///
    /// An initializer read by several nodes is one shared parameter. But exporters also deduplicate initializers with equal content, which in an
    /// untrained network are all scales and all biases: if all elements are equal, each node gets its own copy.
    pub(super) fn parameter(
        &mut self,
        node: &ModelNode,
        operand: usize,
        kind: ParameterKind,
    ) -> Result<Value, Error> {
        let Item::Weight(weight) = self.item(node, operand)?.clone() else {
            return self.value(node, operand);
        };
        let tensor = &self.model.initializers[&weight];
        let is_uniform = tensor.floats().is_some_and(|floats| {
            floats
                .windows(2)
                .all(|pair| pair[0].to_bits() == pair[1].to_bits())
        });
        if let (Some(&value), false) = (self.parameters.get(&weight), is_uniform) {
            return Ok(value);
        }
        let shape = self.shape_of_weight(&weight);
        let name = self.own_name(&weight);
        let is_head = self.target.head.is_some_and(|head| head.contains(&weight));
        self.b.group = if is_head { LayerGroup::Head } else { self.group };
        let value = self.b.named_parameter(&name, kind, shape)?;
        self.trainable.insert(value);
        self.parameters.insert(weight, value);
        Ok(value)
    }

    /// The name of a tensor, with a number if another copy has that name.
    fn own_name(&self, weight: &str) -> String {
        let numbered = (1..).map(|number| copy_name(weight, number));
        let mut free = numbered.filter(|name| self.b.graph.named(name).is_none());
        free.next().expect("there are more numbers than values")
    }

    /// Both operands of a binary operator: an initializer becomes trainable if the other operand depends on a parameter.
    pub(super) fn pair(&mut self, node: &ModelNode, operands: [usize; 2]) -> Result<[Value; 2], Error> {
        let is_learnt = |importer: &Self, operand| match importer.item(node, operand) {
            Ok(Item::Value(value)) => importer.trainable.contains(value),
            _ => false,
        };
        let [left, right] = operands.map(|operand| is_learnt(self, operand));
        let is_scale = self.is_attention_scale(node);
        let mut resolve = |operand, other| {
            if other && !is_scale {
                self.parameter(node, operand, ParameterKind::Other)
            } else {
                self.value(node, operand)
            }
        };
        Ok([resolve(operands[0], right)?, resolve(operands[1], left)?])
    }

    /// Whether a node multiplies by the scalar 1/√d of attention scores, to which some exporters give the shape `[1]`: only matrix
    /// multiplications of two computed values read its output.
    fn is_attention_scale(&self, node: &ModelNode) -> bool {
        let is_number = |name: &String| {
            let tensor = self.model.initializers.get(name);
            tensor.is_some_and(|tensor| tensor.elements.len() == 1)
        };
        if node.operator != "Mul" || !node.inputs.iter().any(is_number) {
            return false;
        }
        let is_read = |reader: &&ModelNode| reader.inputs.iter().any(|input| node.outputs.contains(input));
        let mut readers = self.model.nodes.iter().filter(is_read).peekable();
        let is_product = |reader: &ModelNode| {
            let mut inputs = reader.inputs.iter();
            reader.operator == "MatMul" && !inputs.any(|input| self.model.initializers.contains_key(input))
        };
        readers.peek().is_some() && readers.all(is_product)
    }

    /// The name of a batch norm's running statistic, unique even if several batch norms of the file share a tensor.
    pub(super) fn statistic(
        &self,
        node: &ModelNode,
        operand: usize,
        channels: usize,
    ) -> Result<String, Error> {
        match self.item(node, operand)? {
            Item::Weight(name) if *self.model.initializers[name].shape == [channels] => {
                Ok(self.own_name(name))
            }
            _ => {
                let name = &node.inputs[operand];
                Err(node_error(
                    node,
                    format!("`{name}` is not an initializer of shape [{channels}]"),
                ))
            }
        }
    }

    /// The value of a constant item. An initializer of one element may be a parameter or a constant; in constant folding it is a constant.
    pub(super) fn const_value<'i>(&'i self, item: &'i Item) -> Option<&'i HostTensor> {
        match item {
            Item::Value(_) => None,
            Item::Constant(tensor) => Some(tensor),
            Item::Weight(name) => {
                let tensor = &self.model.initializers[name];
                (tensor.elements.len() == 1).then_some(tensor)
            }
        }
    }

    pub(super) fn shape_of(&self, item: &Item) -> Shape {
        match item {
            Item::Value(value) => self.shape(*value).clone(),
            Item::Constant(tensor) => tensor.shape.clone(),
            Item::Weight(name) => self.shape_of_weight(name),
        }
    }

    pub(super) fn element_type_of(&self, item: &Item) -> ElementType {
        match item {
            Item::Value(value) => self.tensor_type(*value).element_type,
            Item::Weight(_) => ElementType::F32,
            Item::Constant(tensor) => match tensor.elements {
                Elements::F32(_) => ElementType::F32,
                Elements::I64(_) => ElementType::I64,
                Elements::Bool(_) => ElementType::Bool,
            },
        }
    }

    /// Whether an operand depends on a trainable parameter.
    pub(super) fn depends_on_trainable(&self, node: &ModelNode) -> bool {
        node.inputs.iter().any(|name| match self.items.get(name) {
            Some(Item::Value(value)) => self.trainable.contains(value),
            Some(Item::Weight(weight)) => {
                let parameters = self.parameters.get(weight);
                parameters.is_some_and(|value| self.trainable.contains(value))
            }
            Some(Item::Constant(_)) | None => false,
        })
    }

    /// Shape of an initializer, with the target's number of outputs if it is of a resized layer.
    fn shape_of_weight(&self, name: &str) -> Shape {
        let mut shape = self.model.initializers[name].shape.to_vec();
        for Resized { layer, outputs } in self.target.resized {
            if layer.weight == name {
                shape[layer.axis] = *outputs;
            } else if layer.bias.as_deref() == Some(name) {
                // Exporters write the bias as `[K]` or `[1, K]`.
                shape
                    .iter_mut()
                    .filter(|extent| **extent == layer.outputs)
                    .for_each(|extent| *extent = *outputs);
            }
        }
        shape.into()
    }

    /// A constant integer operand.
    pub(super) fn integers(&self, node: &ModelNode, operand: usize) -> Result<Vec<i64>, Error> {
        match self.item(node, operand)? {
            Item::Constant(tensor) if tensor.integers().is_some() => {
                Ok(tensor.integers().unwrap_or_default().to_vec())
            }
            _ => {
                let name = &node.inputs[operand];
                Err(node_error(
                    node,
                    format!("`{name}` is not a constant int64 tensor"),
                ))
            }
        }
    }

    /// A constant scalar operand; `None` if it is absent.
    pub(super) fn number(&self, node: &ModelNode, operand: usize) -> Result<Option<f32>, Error> {
        if !self.has(node, operand) {
            return Ok(None);
        }
        match self
            .const_value(self.item(node, operand)?)
            .map(|tensor| &tensor.elements)
        {
            Some(Elements::F32(data)) if data.len() == 1 => return Ok(Some(data[0])),
            #[expect(clippy::cast_precision_loss, reason = "such numbers are small")]
            Some(Elements::I64(data)) if data.len() == 1 => return Ok(Some(data[0] as f32)),
            _ => {}
        }
        let name = &node.inputs[operand];
        Err(node_error(node, format!("`{name}` is not a constant scalar")))
    }

    fn constant(&mut self, node: &ModelNode, tensor: &HostTensor) -> Result<Value, Error> {
        if tensor.elements.is_empty() {
            return Err(node_error(node, "it reads a tensor without elements"));
        }
        let data = match &tensor.elements {
            Elements::F32(data) if tensor.shape.is_empty() => return Ok(self.b.graph.scalar(data[0])),
            Elements::F32(data) => Constant::F32(data.clone()),
            Elements::I64(data) => Constant::I64(data.clone()),
            Elements::Bool(data) => Constant::I64(data.iter().map(|&is_true| i64::from(is_true)).collect()),
        };
        let value = self.b.graph.constant(tensor.shape.clone(), data)?;
        match tensor.elements {
            Elements::Bool(_) => self.wire(node, |g| g.converted(value, ElementType::Bool)),
            _ => Ok(value),
        }
    }

    /// Adds operators in the scope of a node.
    pub(super) fn wire<T>(
        &mut self,
        node: &ModelNode,
        build: impl FnOnce(&mut crate::graph::Graph) -> Result<T, crate::graph::Error>,
    ) -> Result<T, Error> {
        Ok(self.b.layer(&scope(node), build)?)
    }

    /// Adds one operator in the scope of a node.
    pub(super) fn single(&mut self, node: &ModelNode, op: Op, operands: &[Value]) -> Result<Value, Error> {
        self.wire(node, |g| g.single(op, operands))
    }

    pub(super) fn tensor_type(&self, value: Value) -> &TensorType {
        self.b.graph.tensor_type(value)
    }

    pub(super) fn shape(&self, value: Value) -> &Shape {
        self.b.graph.shape(value)
    }

    /// What a Pad operator adds around which value, if one computes this value.
    pub(super) fn padding_of(&self, value: Value) -> Option<(Value, &Pad)> {
        let Origin::Node(node, _) = self.b.graph.origin(value) else {
            return None;
        };
        let node = self.b.graph.node(*node);
        match &node.op {
            Op::Pad(pad) => Some((node.inputs[0], pad)),
            _ => None,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.b.mode
    }
}

/// The name of copy `number` of a tensor; copy 1 keeps the tensor's name.
fn copy_name(weight: &str, number: usize) -> String {
    if number == 1 {
        return weight.to_owned();
    }
    format!("{weight}{COPY_SEPARATOR}{number}")
}

/// Separates a tensor's name from a copy's number.
const COPY_SEPARATOR: char = '#';

/// The initializer that a parameter or statistic, or the original of a copy, is initialized from.
pub(super) fn origin<'m>(model: &'m Model, name: &str) -> Option<&'m HostTensor> {
    let of_copy = || name.rsplit_once(COPY_SEPARATOR).map(|(weight, _)| weight);
    let initializer = model.initializers.get(name);
    initializer.or_else(|| of_copy().and_then(|weight| model.initializers.get(weight)))
}

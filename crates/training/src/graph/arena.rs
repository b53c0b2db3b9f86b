use std::collections::HashMap;

use super::infer::infer;
use super::value::{Constant, NodeId, Origin, Value};
use super::{ElementType, Error, InferError, Op, Shape, TensorType};

/// Upper bound on the elements of a node's output: 256 GiB of single precision.
const MAX_ELEMENTS: usize = 1 << 36;

/// An operator applied to existing values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// The operands.
    pub inputs: Vec<Value>,
    /// Slash-separated path of the layer it belongs to; names it in exported files, profiles and errors.
    pub scope: String,
    first_output: u32,
    outputs: u32,
}

impl Node {
    /// Its output values, in the operator's order.
    pub fn outputs(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + use<> {
        (self.first_output..self.first_output + self.outputs).map(Value)
    }
}

#[derive(Clone, Debug)]
struct Record {
    tensor_type: TensorType,
    origin: Origin,
}

/// An append-only, typed dataflow graph.
///
/// A node can only use existing values, so insertion order is a topological order, there are no cycles, and a backward traversal
/// visits every use of a value before its definition. Types are inferred and checked when a node is added, and never again.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    values: Vec<Record>,
    outputs: Vec<(String, Value)>,
    scope: String,
    named: HashMap<String, Value>,
    scalars: HashMap<u32, Value>,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a node and returns its output values.
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operator does not accept these operands.
    pub fn push(&mut self, op: Op, inputs: &[Value]) -> Result<Vec<Value>, Error> {
        let operands: Vec<&TensorType> = inputs.iter().map(|&value| self.tensor_type(value)).collect();
        let types = infer(&op, &operands).and_then(bounded);
        let types = types.map_err(|source| Error::Wiring {
            operator: op.name(),
            scope: self.scope.clone(),
            operands: operands.iter().map(ToString::to_string).collect(),
            source,
        })?;
        let node = NodeId(index(self.nodes.len()));
        let first_output = index(self.values.len());
        let outputs = index(types.len());
        for (output, tensor_type) in types.into_iter().enumerate() {
            self.values.push(Record {
                tensor_type,
                origin: Origin::Node(node, output),
            });
        }
        let scope = self.scope.clone();
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            scope,
            first_output,
            outputs,
        });
        Ok((first_output..first_output + outputs).map(Value).collect())
    }

    /// Declares an input of the graph.
    ///
    /// # Errors
    /// [`Error::DuplicateName`] if an input or parameter has that name.
    pub fn input(&mut self, name: &str, tensor_type: TensorType) -> Result<Value, Error> {
        self.leaf(name, tensor_type, Origin::Input(name.to_owned()))
    }

    /// Declares a parameter (f32): exported as an input, or as an initializer if the export is given its values.
    ///
    /// # Errors
    /// [`Error::DuplicateName`] if an input or parameter has that name.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Shape>) -> Result<Value, Error> {
        self.leaf(name, TensorType::f32(shape), Origin::Parameter(name.to_owned()))
    }

    fn leaf(&mut self, name: &str, tensor_type: TensorType, origin: Origin) -> Result<Value, Error> {
        if self.named.contains_key(name) {
            return Err(Error::DuplicateName {
                name: name.to_owned(),
            });
        }
        let value = self.record(tensor_type, origin);
        self.named.insert(name.to_owned(), value);
        Ok(value)
    }

    /// A constant tensor.
    ///
    /// # Errors
    /// [`Error::ConstantSize`] if the number of elements differs from the shape's.
    pub fn constant(&mut self, shape: impl Into<Shape>, data: Constant) -> Result<Value, Error> {
        let shape = shape.into();
        let (element_type, elements) = match &data {
            Constant::F32(data) => (ElementType::F32, data.len()),
            Constant::I64(data) => (ElementType::I64, data.len()),
        };
        if elements != shape.elements() {
            return Err(Error::ConstantSize { shape, elements });
        }
        Ok(self.record(TensorType { element_type, shape }, Origin::Constant(data)))
    }

    /// A scalar constant (f32). Scalars with equal bits share one value.
    pub fn scalar(&mut self, number: f32) -> Value {
        if let Some(&value) = self.scalars.get(&number.to_bits()) {
            return value;
        }
        let origin = Origin::Constant(Constant::F32(vec![number]));
        let value = self.record(TensorType::f32(Shape::scalar()), origin);
        self.scalars.insert(number.to_bits(), value);
        value
    }

    /// Copies an input, parameter or constant of another graph into this one; `None` if `value` is computed by a node.
    ///
    /// # Errors
    /// [`Error::DuplicateName`] if an input or parameter has that name.
    pub(super) fn leaf_of(&mut self, other: &Self, value: Value) -> Result<Option<Value>, Error> {
        let tensor_type = other.tensor_type(value).clone();
        Ok(Some(match other.origin(value) {
            Origin::Node(..) => return Ok(None),
            Origin::Input(name) => self.input(name, tensor_type)?,
            Origin::Parameter(name) => self.parameter(name, tensor_type.shape)?,
            Origin::Constant(Constant::F32(data)) if tensor_type.shape.is_empty() => self.scalar(data[0]),
            Origin::Constant(data) => self.constant(tensor_type.shape, data.clone())?,
        }))
    }

    /// Rebuilds the graph: `rewire` is called for each node with its operands in the new graph and returns the values that replace its
    /// outputs.
    ///
    /// # Errors
    /// The errors of `rewire`.
    pub(super) fn rewired(
        &self,
        mut rewire: impl FnMut(&mut Self, &Node, &[Value]) -> Result<Vec<Value>, Error>,
    ) -> Result<Self, Error> {
        let mut to = Self::new();
        let mut mapped: Vec<Value> = Vec::with_capacity(self.values.len());
        for value in self.values() {
            mapped.extend(to.leaf_of(self, value)?);
            // A node's outputs are consecutive values: handle all of them at the first.
            if let Origin::Node(id, 0) = self.origin(value) {
                let node = self.node(*id);
                let inputs: Vec<Value> = node.inputs.iter().map(|input| mapped[input.index()]).collect();
                mapped.extend(to.scoped(&node.scope, |to| rewire(to, node, &inputs))?);
            }
        }
        for (name, value) in self.outputs() {
            to.output(name, mapped[value.index()])?;
        }
        Ok(to)
    }

    /// Copies the values in `wanted` and all that they depend on into the graph `to`. `copies` maps values to those that take their place there; it
    /// is extended by all copied values.
    ///
    /// # Errors
    /// [`Error::DuplicateName`] if `to` has an input or parameter of that name.
    pub(crate) fn copy_into(
        &self,
        to: &mut Self,
        wanted: &[Value],
        copies: &mut HashMap<Value, Value>,
    ) -> Result<(), Error> {
        let mut is_needed = vec![false; self.values.len()];
        wanted.iter().for_each(|value| is_needed[value.index()] = true);
        for value in self.values().rev() {
            if let (true, false, Origin::Node(id, _)) = (
                is_needed[value.index()],
                copies.contains_key(&value),
                self.origin(value),
            ) {
                let inputs = self.node(*id).inputs.iter();
                inputs.for_each(|input| is_needed[input.index()] = true);
            }
        }
        for value in self.values() {
            if !is_needed[value.index()] || copies.contains_key(&value) {
                continue;
            }
            if let Some(leaf) = to.leaf_of(self, value)? {
                copies.insert(value, leaf);
            }
            if let Origin::Node(id, _) = self.origin(value) {
                let node = self.node(*id);
                let inputs: Vec<Value> = node.inputs.iter().map(|input| copies[input]).collect();
                let outputs = to.scoped(&node.scope, |to| to.push(node.op.clone(), &inputs))?;
                copies.extend(node.outputs().zip(outputs));
            }
        }
        Ok(())
    }

    fn record(&mut self, tensor_type: TensorType, origin: Origin) -> Value {
        let value = Value(index(self.values.len()));
        self.values.push(Record { tensor_type, origin });
        value
    }

    /// Declares a value as an output of the graph.
    ///
    /// # Errors
    /// [`Error::DuplicateName`] if an output has that name.
    pub fn output(&mut self, name: &str, value: Value) -> Result<(), Error> {
        if self.outputs.iter().any(|(taken, _)| taken == name) {
            return Err(Error::DuplicateName {
                name: name.to_owned(),
            });
        }
        self.outputs.push((name.to_owned(), value));
        Ok(())
    }

    /// Runs `build` with `name` appended to the scope of the nodes it adds.
    pub fn scoped<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.scope.len();
        if outer > 0 {
            self.scope.push('/');
        }
        self.scope.push_str(name);
        let built = build(self);
        self.scope.truncate(outer);
        built
    }

    /// The type of a value.
    #[must_use]
    pub fn tensor_type(&self, value: Value) -> &TensorType {
        &self.values[value.0 as usize].tensor_type
    }

    /// The shape of a value.
    #[must_use]
    pub fn shape(&self, value: Value) -> &Shape {
        &self.tensor_type(value).shape
    }

    /// Where a value comes from.
    #[must_use]
    pub fn origin(&self, value: Value) -> &Origin {
        &self.values[value.0 as usize].origin
    }

    /// The input or parameter with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Value> {
        self.named.get(name).copied()
    }

    /// Every value, oldest first.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + use<> {
        (0..index(self.values.len())).map(Value)
    }

    /// The inputs and parameters, oldest first.
    pub fn leaves(&self) -> impl Iterator<Item = Value> {
        let is_leaf = |&value: &Value| matches!(self.origin(value), Origin::Input(_) | Origin::Parameter(_));
        self.values().filter(is_leaf)
    }

    /// The node with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Every node, oldest first: a topological order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Number of uses of each value, as an output and by nodes whose own results are used: zero if no output depends on it.
    pub(super) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        for (_, output) in &self.outputs {
            uses[output.index()] += 1;
        }
        for node in self.nodes.iter().rev() {
            if node.outputs().any(|output| uses[output.index()] > 0) {
                node.inputs.iter().for_each(|input| uses[input.index()] += 1);
            }
        }
        uses
    }

    /// The graph's outputs, in the order of declaration.
    #[must_use]
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }
}

/// Rejects outputs of more than [`MAX_ELEMENTS`].
fn bounded(types: Vec<TensorType>) -> Result<Vec<TensorType>, InferError> {
    match types.iter().find(|of| of.shape.elements() > MAX_ELEMENTS) {
        Some(TensorType { shape, .. }) => Err(InferError::Size { shape: shape.clone() }),
        None => Ok(types),
    }
}

/// A length as the 32-bit index of a handle.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("a graph has fewer than 2^32 values")
}

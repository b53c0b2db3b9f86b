use std::collections::HashMap;

use super::infer::infer;
use super::value::{Constant, NodeId, Origin, Value};
use super::{ElementType, Error, InferError, Op, Shape, TensorType};

/// Elements that a node's result has at most: 256 GiB of single precision.
const MOST_ELEMENTS: usize = 1 << 36;

/// One operator applied to values that existed before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// Where it stands in the model, for names in exported files, profiles and errors.
    pub scope: String,
    first_output: u32,
    outputs: u32,
}

impl Node {
    /// Its results, in the operator's order.
    pub fn outputs(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + use<> {
        (self.first_output..self.first_output + self.outputs).map(Value)
    }
}

#[derive(Clone, Debug)]
struct Record {
    tensor_type: TensorType,
    origin: Origin,
}

/// A typed tensor program that only grows.
///
/// A node may only use values that exist, so the order of nodes is a topological order, there are no cycles to look for, and
/// walking backwards visits every use of a value before its definition. Types are computed and checked when a node is added; nothing
/// later has to check again.
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

    /// Adds a node and returns its results.
    ///
    /// # Errors
    /// [`Error::Wiring`] when the operator does not take these operands.
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

    /// Declares a value that every run is given.
    ///
    /// # Errors
    /// [`Error::DuplicateName`].
    pub fn input(&mut self, name: &str, tensor_type: TensorType) -> Result<Value, Error> {
        self.leaf(name, tensor_type, Origin::Input(name.to_owned()))
    }

    /// Declares a piece of the model's state: an input like any other, unless the export fixes it.
    ///
    /// # Errors
    /// [`Error::DuplicateName`].
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
    /// [`Error::ConstantSize`] when the data does not fill the shape.
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

    /// A constant number; equal ones are one value.
    pub fn scalar(&mut self, number: f32) -> Value {
        if let Some(&value) = self.scalars.get(&number.to_bits()) {
            return value;
        }
        let origin = Origin::Constant(Constant::F32(vec![number]));
        let value = self.record(TensorType::f32(Shape::scalar()), origin);
        self.scalars.insert(number.to_bits(), value);
        value
    }

    /// Declares here what a value of another graph is; `None` where it is the result of a node.
    ///
    /// # Errors
    /// [`Error::DuplicateName`].
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

    /// The same program with every node replaced by what `rewire` wires for it in the new graph, from the node and its operands there.
    ///
    /// # Errors
    /// Those of `rewire`.
    pub(super) fn rewired(
        &self,
        mut rewire: impl FnMut(&mut Self, &Node, &[Value]) -> Result<Vec<Value>, Error>,
    ) -> Result<Self, Error> {
        let mut to = Self::new();
        let mut images: Vec<Value> = Vec::with_capacity(self.values.len());
        for value in self.values() {
            images.extend(to.leaf_of(self, value)?);
            // A node's results follow one another, so the first brings them all.
            if let Origin::Node(id, 0) = self.origin(value) {
                let node = self.node(*id);
                let inputs: Vec<Value> = node.inputs.iter().map(|input| images[input.index()]).collect();
                images.extend(to.scoped(&node.scope, |to| rewire(to, node, &inputs))?);
            }
        }
        for (name, value) in self.outputs() {
            to.output(name, images[value.index()])?;
        }
        Ok(to)
    }

    fn record(&mut self, tensor_type: TensorType, origin: Origin) -> Value {
        let value = Value(index(self.values.len()));
        self.values.push(Record { tensor_type, origin });
        value
    }

    /// Makes a value a result of the whole program, under a name.
    ///
    /// # Errors
    /// [`Error::DuplicateName`].
    pub fn output(&mut self, name: &str, value: Value) -> Result<(), Error> {
        if self.outputs.iter().any(|(taken, _)| taken == name) {
            return Err(Error::DuplicateName {
                name: name.to_owned(),
            });
        }
        self.outputs.push((name.to_owned(), value));
        Ok(())
    }

    /// Builds something with `name` appended to the scope of every node added meanwhile.
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

    /// The extents of a value.
    #[must_use]
    pub fn shape(&self, value: Value) -> &Shape {
        &self.tensor_type(value).shape
    }

    /// Where a value comes from.
    #[must_use]
    pub fn origin(&self, value: Value) -> &Origin {
        &self.values[value.0 as usize].origin
    }

    /// The input or parameter of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Value> {
        self.named.get(name).copied()
    }

    /// Every value, oldest first.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + use<> {
        (0..index(self.values.len())).map(Value)
    }

    /// The node of that handle.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Every node, oldest first: a topological order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The results of the whole program, in the order they were declared.
    #[must_use]
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }
}

/// Refuses what no memory holds.
fn bounded(types: Vec<TensorType>) -> Result<Vec<TensorType>, InferError> {
    match types.iter().find(|of| of.shape.elements() > MOST_ELEMENTS) {
        Some(TensorType { shape, .. }) => Err(InferError::Size { shape: shape.clone() }),
        None => Ok(types),
    }
}

/// A handle's index. A graph of 2³² values would need terabytes before any tensor exists.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("a graph has fewer than 2^32 values")
}

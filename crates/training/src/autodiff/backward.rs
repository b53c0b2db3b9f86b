use std::ops::{Deref, DerefMut};

use super::error::Error;
use super::liveness::Liveness;
use crate::graph::{Graph, Node, Value};

/// One optional gradient per operand of a node.
pub(super) type Gradients = Vec<Option<Value>>;

/// Arguments of a rule: the node, the upstream gradients of its outputs, and the graph to add nodes to.
pub(super) struct Backward<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) node: &'a Node,
    pub(super) upstream: &'a [Option<Value>],
    pub(super) liveness: &'a Liveness,
}

impl Backward<'_> {
    /// Operand of the node.
    pub(super) fn input(&self, position: usize) -> Value {
        self.node.inputs[position]
    }

    /// Output of the node.
    pub(super) fn output(&self, position: usize) -> Value {
        self.node
            .outputs()
            .nth(position)
            .expect("a rule asks only for outputs its operator has")
    }

    /// The upstream gradient of the node's first output; zeros if only another output has one.
    pub(super) fn upstream(&mut self) -> Result<Value, Error> {
        self.upstream_at(0)
    }

    /// The upstream gradient of an output; zeros if it has none.
    pub(super) fn upstream_at(&mut self, position: usize) -> Result<Value, Error> {
        self.upstream[position].map_or_else(|| self.zeros(position), Ok)
    }

    /// The upstream gradient of an output, if it has one.
    pub(super) fn upstream_of(&self, position: usize) -> Option<Value> {
        self.upstream[position]
    }

    /// Whether the gradient of an operand is needed.
    pub(super) fn wants(&self, position: usize) -> bool {
        self.liveness.contains(self.input(position))
    }

    fn zeros(&mut self, position: usize) -> Result<Value, Error> {
        let shape = self.graph.shape(self.output(position)).clone();
        let zero = self.graph.scalar_like(self.output(position), 0.0)?;
        Ok(self.graph.expand(zero, shape)?)
    }
}

impl Deref for Backward<'_> {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.graph
    }
}

impl DerefMut for Backward<'_> {
    fn deref_mut(&mut self) -> &mut Graph {
        self.graph
    }
}

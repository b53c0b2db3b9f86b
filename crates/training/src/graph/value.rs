/// A handle of a tensor in one [`Graph`](super::Graph): an index, free to copy. Its type is kept by the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(super) u32);

impl Value {
    /// Its position among all values of the graph, oldest first.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A handle of a node in one [`Graph`](super::Graph). A node may use only values that exist, so these indices are a topological
/// order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Given at every run.
    Input(String),
    /// State of the model, under its name: an input, or fixed when the graph is exported.
    Parameter(String),
    /// Known when the graph is built.
    Constant(Constant),
    /// Computed: which node, and which of its results.
    Node(NodeId, usize),
}

/// Elements of a constant, in row-major order; their number follows from its shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Floats.
    F32(Vec<f32>),
    /// Integers.
    I64(Vec<i64>),
}

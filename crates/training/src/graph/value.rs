/// A handle of a tensor in one [`Graph`](super::Graph). The graph stores its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(super) u32);

impl Value {
    /// Its index among all values of the graph, in order of creation.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A handle of a node in one [`Graph`](super::Graph). Ids are in topological order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// How a value is defined.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// An input of the graph, with its name.
    Input(String),
    /// A parameter, with its name: exported as an input or as an initializer.
    Parameter(String),
    /// A constant.
    Constant(Constant),
    /// Computed by a node: its id and the index of the output.
    Node(NodeId, usize),
}

/// Elements of a constant, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Floats.
    F32(Vec<f32>),
    /// Integers.
    I64(Vec<i64>),
}

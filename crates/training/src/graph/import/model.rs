use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::tensor::HostTensor;
use crate::graph::ElementType;
use crate::graph::onnx::CONSTANT;

/// The contents of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Version of ONNX's default operator set.
    pub opset: i64,
    /// Declared inputs without an initializer.
    pub inputs: Vec<Declaration>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Nodes in topological order.
    pub nodes: Vec<ModelNode>,
    /// Initializers, by name.
    pub initializers: BTreeMap<String, HostTensor>,
    /// Metadata: key and value pairs.
    pub metadata: Vec<(String, String)>,
    /// Whether [`export`](crate::graph::export) wrote it, so that initializers named as constants are not weights.
    pub is_own: bool,
}

impl Model {
    /// Whether an initializer is a constant written by [`export`](crate::graph::export), and not a weight.
    #[must_use]
    pub fn is_constant(&self, name: &str) -> bool {
        self.is_own && name.starts_with(CONSTANT)
    }
}

/// One operator of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelNode {
    /// Its name; if the file has none, that of its first output.
    pub name: String,
    /// Name of the operator, prefixed with its domain unless that is the default domain.
    pub operator: String,
    /// Names of its inputs; empty for an omitted optional input.
    pub inputs: Vec<String>,
    /// Names of its outputs.
    pub outputs: Vec<String>,
    /// Its attributes.
    pub attributes: Attributes,
}

/// Name and type of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub name: String,
    /// Element type; `None` if it is not an [`ElementType`].
    pub element_type: Option<ElementType>,
    /// The extents; `None` for a dynamic one.
    pub shape: Vec<Option<usize>>,
}

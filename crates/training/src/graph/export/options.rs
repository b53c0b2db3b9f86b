use std::collections::BTreeMap;

use super::dynamic_batch::DynamicBatch;
use crate::graph::Tensor;
use crate::graph::onnx::OPSET;

/// Options of [`export`](super::export()).
#[derive(Clone, Debug)]
pub struct ExportOptions<'a, 'p> {
    /// The graph's name.
    pub name: &'a str,
    /// Values of the parameters that are stored as initializers; all other parameters are inputs.
    pub fixed: Option<&'p BTreeMap<String, Tensor>>,
    /// The dynamic batch axis, if any.
    pub dynamic_batch: Option<DynamicBatch<'a>>,
    /// `metadata_props`: key and value pairs, in this order.
    pub metadata: &'a [(String, String)],
    /// Operator set version, in [`OPSETS`](super::OPSETS).
    pub opset: i64,
}

impl Default for ExportOptions<'_, '_> {
    /// All parameters as inputs, a static batch size, no metadata, [`OPSET`].
    fn default() -> Self {
        Self {
            name: "",
            fixed: None,
            dynamic_batch: None,
            metadata: &[],
            opset: OPSET,
        }
    }
}

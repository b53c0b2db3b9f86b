use std::io;

use thiserror::Error;

use super::OPSETS;

/// Why a file cannot be read as a model.
#[derive(Debug, Error)]
pub enum Error {
    /// The bytes are no model.
    #[error("it is damaged or no ONNX model ({reason})")]
    Damaged {
        /// What the decoder says.
        reason: String,
    },
    /// The model is written in an operator set that is not known here.
    #[error("it is written in operator set {found}; known are {} to {}", OPSETS.start(), OPSETS.end())]
    Opset {
        /// The version; 0 where the model names none.
        found: i64,
    },
    /// A tensor has elements of a type that is not known here.
    #[error(
        "tensor `{name}` holds elements of ONNX type {data_type}; known are float, double, int32, int64 and bool"
    )]
    TensorType {
        /// The tensor.
        name: String,
        /// ONNX's number of the type.
        data_type: i32,
    },
    /// A tensor has fewer or more elements than its shape says.
    #[error("tensor `{name}` of shape {dims:?} has {found} elements")]
    TensorSize {
        /// The tensor.
        name: String,
        /// Its shape.
        dims: Vec<i64>,
        /// Elements found.
        found: usize,
    },
    /// A tensor's elements stand in another file, which cannot be read.
    #[error("tensor `{name}` stands in the file `{location}`, which cannot be read")]
    External {
        /// The tensor.
        name: String,
        /// The file, as the model names it.
        location: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An attribute is of a kind that is not known here.
    #[error("attribute `{attribute}` of node `{node}` is of ONNX kind {kind}, which is not supported")]
    Attribute {
        /// The node.
        node: String,
        /// The attribute.
        attribute: String,
        /// ONNX's number of the kind.
        kind: i32,
    },
}

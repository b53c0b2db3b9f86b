use std::io;

use thiserror::Error;

/// The supported operator set versions.
pub const OPSETS: std::ops::RangeInclusive<i64> = 11..=24;

/// An error of parsing a model file.
#[derive(Debug, Error)]
pub enum Error {
    /// The bytes are not an ONNX model.
    #[error("it is damaged or no ONNX model ({reason})")]
    Damaged {
        /// The decoder's message.
        reason: String,
    },
    /// The model's operator set version is not supported.
    #[error("it uses operator set {found}; supported are {} to {}", OPSETS.start(), OPSETS.end())]
    Opset {
        /// The version; 0 if the model states none.
        found: i64,
    },
    /// A tensor's element type is not supported.
    #[error(
        "tensor `{name}` has ONNX element type {data_type}; supported are float, double, float16, bfloat16, bool and integers of 8 to 64 bits but uint32 and uint64"
    )]
    TensorType {
        /// The tensor.
        name: String,
        /// The type's number in ONNX's `TensorProto.DataType`.
        data_type: i32,
    },
    /// The number of a tensor's elements differs from its shape's.
    #[error("tensor `{name}` of shape {dims:?} has {found} elements")]
    TensorSize {
        /// The tensor.
        name: String,
        /// Its shape.
        dims: Vec<i64>,
        /// Elements found.
        found: usize,
    },
    /// A tensor's external data cannot be read.
    #[error("cannot read tensor `{name}` from its external data file `{location}`")]
    External {
        /// The tensor.
        name: String,
        /// The file's location as the model states it.
        location: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// An attribute's type is not supported.
    #[error("attribute `{attribute}` of node `{node}` has ONNX type {kind}, which is not supported")]
    Attribute {
        /// The node.
        node: String,
        /// The attribute.
        attribute: String,
        /// The type's number in ONNX's `AttributeProto.AttributeType`.
        kind: i32,
    },
}

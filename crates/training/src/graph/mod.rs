//! A typed subset of ONNX: values, operators, import and export. It does not depend on gradients or layers.
//!
//! # Layout
//! - [`Shape`], [`ElementType`], [`TensorType`]: the static type of a value.
//! - [`Op`] and [`Composite`]: the closed set of operators.
//! - `infer`: type and shape inference; runs when a node is added, and rejects operands that do not fit.
//! - [`Graph`]: an append-only arena with one method per operator.
//! - [`autocast`]: mixed precision: rewrites a forward graph so that part of it is computed in half precision.
//! - [`fuse`]: operator fusion into the [`Fused`] operators of our own domain.
//! - [`lower`]: decomposes composites into standard operators; the one place that chooses between equivalent decompositions.
//! - [`export`]: serialises a graph as an ONNX model; [`import`]: parses ONNX models.
//! - [`fuse_bn`]: merges batch norms into adjacent convolutions and linear layers for inference.

mod arena;
pub mod autocast;
mod build;
mod composite;
mod element_type;
mod error;
pub mod export;
pub mod fuse;
pub mod fuse_bn;
pub mod fused;
pub mod import;
mod infer;
pub mod lower;
mod names;
mod onnx;
pub mod op;
mod op_attributes;
mod shape;
mod tensor;
mod tensor_type;
#[cfg(test)]
mod tests;
mod value;

pub use arena::{Graph, Node};
pub use composite::Composite;
pub use element_type::ElementType;
pub use error::{Error, InferError};
pub use fused::Fused;
pub use op::Op;
pub use shape::{Shape, window_positions};
pub use tensor::Tensor;
pub use tensor_type::TensorType;
pub use value::{Constant, NodeId, Origin, Value};

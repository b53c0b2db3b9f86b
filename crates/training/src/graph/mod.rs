//! A small typed ONNX: values, operators, and the file they are written to. It knows no calculus and no layers.
//!
//! # Layout
//! - [`Shape`], [`ElementType`], [`TensorType`]: what is known of a value before anything runs.
//! - [`Op`] and [`Composite`]: the closed vocabulary.
//! - `infer`: the type of every operator's results; refused at the moment of wiring.
//! - [`Graph`]: the push-only arena, and a method per operator.
//! - [`autocast`]: the parts of a forward graph that are computed in half precision.
//! - [`fuse`]: composites computed by operators of our own domain, [`Fused`].
//! - [`lower`]: composites spelled in standard operators; the one place that chooses between equivalent spellings.
//! - [`export`]: a graph as the bytes of an ONNX model; [`import`]: what stands in such bytes.
//! - [`fuse_bn`]: batch norms merged into the convolutions before them.

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

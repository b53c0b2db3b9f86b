//! What the tests stand on.
//!
//! # Layout
//! - [`interpreter`]: what every operator of the gradient compiler means, in plain loops over double precision.
//! - [`onnx_runtime`]: the same graphs on ONNX Runtime.

pub mod interpreter;
pub mod onnx_runtime;

//! What tests of the gradient compiler and of the client stand on.
//!
//! - [`hub`]: a server that answers as a model hub does.
//! - [`interpreter`]: every operator of the gradient compiler in plain loops over double precision.
//! - [`model_file`]: ONNX files, built node by node.
//! - [`onnx_runtime`]: graphs on ONNX Runtime.

pub mod hub;
pub mod interpreter;
pub mod model_file;
pub mod onnx_runtime;

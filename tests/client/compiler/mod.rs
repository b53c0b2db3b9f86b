//! The gradient compiler against the interpreter, and both against ONNX Runtime.

mod autocast;
mod autodiff;
mod cases;
mod cuda;
mod exported_operators;
mod freezing;
mod fused;
mod large_mean;
mod operators;
pub(crate) mod optimizers;
mod rules;

//! The gradient compiler against the interpreter, and both against ONNX Runtime.

mod cases;
mod cuda;
mod engine;
mod far;
mod freezing;
mod fused;
mod narrow;
mod operators;
mod rules;
mod vocabulary;

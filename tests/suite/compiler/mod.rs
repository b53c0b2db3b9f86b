//! The gradient compiler against the interpreter, and both against ONNX Runtime.

mod autocast;
mod cases;
mod cuda;
mod engine;
mod far;
mod freezing;
mod fused;
mod operators;
mod rules;
mod vocabulary;

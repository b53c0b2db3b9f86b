//! Trains ONNX graphs on stock ONNX Runtime.
//!
//! A network is differentiated graph to graph, so that one training step is one ordinary ONNX model for an ordinary ONNX Runtime.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`graph`] | graphs of operators with shapes: built, read from ONNX, fused, lowered and written as ONNX |
//! | [`autodiff`] | a graph's gradients as another graph |
//! | [`nn`], [`optim`] | layers, networks and losses; optimizers |
//! | [`schedule`] | learning rates as functions of the step |
//! | [`program`] | whole programs: a training step, an evaluation, an exported network |
//! | [`kernels`] | operators of our own, vectorised |
//! | [`runtime`] | runs programs on ONNX Runtime |
//!
//! # How a step flows
//!
//! (a) A batch is copied into the program's host buffers, with the schedule's scalars and the dropout masks of this step. (b) [`runtime`] runs
//! the program: it reads parameters and moments from one buffer each on the device and writes them to another. (c) The buffers are swapped.

pub mod autodiff;
pub mod graph;
pub mod kernels;
pub mod nn;
pub mod optim;
pub mod program;
mod random;
pub mod runtime;
pub mod schedule;

#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`graph`] | typed operator graphs: built, imported from ONNX, fused, lowered and exported as ONNX |
//! | [`autodiff`] | reverse-mode differentiation, graph to graph |
//! | [`nn`], [`optim`] | layers, networks and losses; optimizers |
//! | [`schedule`] | learning rate and momentum as functions of the step |
//! | [`program`] | whole programs: a training step, an evaluation, an exported network |
//! | [`kernels`] | SIMD kernels of the fused operators |
//! | [`runtime`] | executes programs on ONNX Runtime |
//! | [`trainer`] | trains a network from an ONNX file on arrays |
//!
//! # How a step flows
//!
//! (a) The batch, the schedule's scalars and this step's dropout masks are copied into the program's host buffers. (b) [`runtime`] executes the
//! program, which reads each parameter and moment from one device buffer and writes its next value to a second one, or in place. (c) The buffers are
//! swapped.

pub mod autodiff;
pub mod graph;
pub mod kernels;
pub mod nn;
pub mod optim;
pub mod program;
mod random;
pub mod runtime;
pub mod schedule;
pub mod trainer;

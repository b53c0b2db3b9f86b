//! Trains and judges a residual network on ONNX Runtime, from batches that an Equibatch server streams.
//!
//! # What
//!
//! The `client` program: `train`, `find-lr`, `evaluate`, `predict`, `datasets`. The network is differentiated here, graph to graph, so that one
//! training step is one ordinary ONNX model for an ordinary ONNX Runtime.
//!
//! # Layout
//!
//! - [`graph`], [`autodiff`], [`nn`], [`optim`], [`program`]: from layers to whole programs, without running anything.
//! - [`kernels`]: our own operators, in vectors.
//! - [`schedule`]: learning rates as functions of the step.
//! - [`weights`]: what a network can start from: files of other programs, the hub; the only module that names it.
//! - [`runtime`]: runs programs; the only module that names ONNX Runtime.
//! - [`stream`]: receives batches; the only module that names gRPC.
//! - [`learn`]: trains, judges, saves and reports.
//! - [`args`], [`config`], [`command`], [`telemetry`]: the command line.
//!
//! # How a step flows
//!
//! (a) [`stream`] receives a batch in the background and holds it ready. (b) [`learn`] copies it into the program's host buffers, with the
//! schedule's scalars and the dropout masks of this step. (c) [`runtime`] runs the program: it reads parameters and moments from one buffer
//! each on the device and writes them to another. (d) The buffers change roles. After the last step of an epoch the model is
//! exported, judged on the validation stream, and saved.

pub mod args;
pub mod autodiff;
pub mod command;
pub mod config;
pub mod graph;
pub mod kernels;
pub mod learn;
pub mod nn;
pub mod optim;
pub mod program;
pub mod runtime;
pub mod schedule;
pub mod stream;
pub mod telemetry;
pub mod weights;

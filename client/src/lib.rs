//! Trains and judges a residual network on ONNX Runtime, from batches that an Equibatch server streams.
//!
//! # What
//!
//! The `client` program: `train`, `find-lr`, `evaluate`, `predict`, `datasets`. The network is differentiated here, graph to graph, so that one
//! training step is one ordinary ONNX model for an ordinary ONNX Runtime.
//!
//! # Layout
//!
//! - [`weights`]: what a network can start from: files of other programs, the hub; the only module that names it.
//! - [`learn`]: trains, evaluates, saves and reports.
//! - [`args`], [`config`], [`command`], [`telemetry`]: the command line.
//!
//! Graphs, their gradients and the runtime are in `equibatch-training`, streams of batches in `equibatch-stream`.
//!
//! # How a step flows
//!
//! (a) `equibatch-stream` receives a batch in the background and holds it ready. (b) [`learn`] copies it into the program's host buffers, with
//! the schedule's scalars and the dropout masks of this step. (c) The runtime of `equibatch-training` runs the program: it reads parameters and
//! moments from one buffer each on the device and writes them to another. (d) The buffers are swapped. After the last step of an epoch the
//! model is exported, evaluated on the validation stream, and saved.

pub mod args;
pub mod command;
pub mod config;
pub mod learn;
pub mod telemetry;
pub mod weights;

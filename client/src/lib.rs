//! Trains and evaluates image classifiers on ONNX Runtime, from batches that an Equibatch server streams.
//!
//! # What
//!
//! The `client` program: `train`, `find-lr`, `evaluate`, `predict`, `datasets` and others. Networks are differentiated here, graph to
//! graph, so that a training step is an ordinary ONNX model that an unmodified ONNX Runtime executes.
//!
//! # Layout
//!
//! - [`weights`]: pretrained weights: safetensors, ONNX, the Hugging Face hub; the only module that accesses the hub.
//! - [`learn`]: trains, evaluates, saves and reports.
//! - [`args`], [`config`], [`command`], [`telemetry`]: the command line, settings and logging.
//!
//! Graphs, their gradients and the runtime are in `equibatch-training`, batch streams in `equibatch-stream`.
//!
//! # How a step flows
//!
//! (a) `equibatch-stream` prefetches a batch in the background. (b) [`learn`] copies it into the program's host buffers, with the
//! schedule's scalars and this step's dropout masks. (c) The runtime of `equibatch-training` runs the program, which reads parameters and
//! moments from one device buffer each and writes them to another. (d) The buffers are swapped. After the last step of an epoch the model
//! is exported, evaluated on the validation stream, and saved.

pub mod args;
pub mod command;
pub mod config;
pub mod learn;
mod serde_text;
pub mod telemetry;
pub mod weights;

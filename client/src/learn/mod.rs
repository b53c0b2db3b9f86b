//! Trains, judges and reports.
//!
//! # Layout
//!
//! - [`begin`]: what a run begins with; [`architecture`]: networks by name.
//! - [`learner`]: a model in training, step by step; `stepper`: what of that runs on the device.
//! - [`targets`], [`class_weights`]: what labels mean for its loss.
//! - [`finder`]: the learning-rate finder.
//! - [`fit`]: the training loop: batches in, epochs judged and saved.
//! - [`evaluate`]: a model judged on a split; [`tta`]: on several views of each image.
//! - [`interpret`]: a trained model looked at closely; [`run_log`]: what a run writes down of itself for its report.
//! - [`membership`]: which split each image was in, and what has changed since.
//! - [`metrics`]: figures as pure functions of predictions.
//! - [`run`], [`checkpoint`], [`card`]: what is written to disk, by [`files`](equibatch_cli::files).
//! - [`network`]: networks from ONNX files; [`mod@export`]: trained models for others.
//! - [`predict`]: image files classified.
//! - [`progress`], [`report`], [`pixels`], [`tensorboard`]: what a person sees.

pub mod architecture;
pub mod card;
pub mod checkpoint;
pub mod class_weights;
pub mod compare;
pub mod evaluate;
pub mod export;
pub mod finder;
pub mod fit;
pub mod grad_scaler;
pub mod init;
pub mod interpret;
pub mod learner;
pub mod membership;
pub mod metrics;
pub mod network;
pub mod pixels;
pub mod predict;
pub mod predictions;
pub mod progress;
pub mod report;
pub mod run;
pub mod run_log;
mod stepper;
pub mod targets;
pub mod tensorboard;
pub mod text;
pub mod tta;

#[cfg(test)]
mod tests;

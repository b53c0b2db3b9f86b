//! Training, evaluation and reports.
//!
//! # Layout
//!
//! - [`init`]: initial state of a run, [`class_means`] of a head; [`architecture`]: networks by name.
//! - [`learner`]: a model in training, step by step; [`grad_scaler`]: loss scaling.
//! - [`optimizer`]: optimizer and schedule; [`targets`], [`class_weights`], [`scheduled_draws`]: loss targets;
//!   [`prior`]: class frequencies in training and in use; [`adjustments`]: these, temperature and threshold of a trained model.
//! - [`finder`]: the learning-rate finder.
//! - [`fit`]: the training loop.
//! - [`evaluate`]: evaluation on a split; [`tta`]: test-time augmentation; [`predictions`]: saved logits; [`compare`]: comparison of runs.
//! - [`interpret`]: images of largest loss and their Grad-CAM maps; [`run_log`]: steps and sessions of a run, for its report.
//! - [`membership`]: the split of each image, and what has changed since.
//! - [`metrics`]: metrics as pure functions of predictions.
//! - [`run`], [`checkpoint`], `resume_state`, [`card`]: files of a run, written with [`files`](equibatch_cli::files).
//! - [`network`]: networks from ONNX files; [`mod@export`]: models for deployment.
//! - [`predict`]: classification of image files.
//! - [`progress`], [`report`], [`pixels`], [`tensorboard`]: terminal output, reports, images and TensorBoard events.

pub mod adjustments;
pub mod architecture;
pub mod card;
pub mod checkpoint;
pub mod class_means;
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
pub mod optimizer;
pub mod pixels;
pub mod predict;
pub mod predictions;
pub mod prior;
pub mod progress;
pub mod report;
mod resume_state;
pub mod run;
pub mod run_log;
pub mod scheduled_draws;
pub mod targets;
pub mod tensorboard;
pub mod text;
pub mod tta;

#[cfg(test)]
mod tests;

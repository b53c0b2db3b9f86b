//! Runs programs on ONNX Runtime. Only this module uses `ort`.
//!
//! # Layout
//!
//! - [`library`]: locates the shared library.
//! - [`device`]: `cpu`, `cuda`, `cuda:N`.
//! - `provider`: execution providers and memory of a device; `placement`: the execution provider of each node of a session.
//! - [`session`]: the loaded library, and session options.
//! - [`operators`]: custom operators of CPU sessions; `cudnn`: those of CUDA sessions.
//! - `profile`: run time by operator.
//! - [`state`]: parameters, moments and running statistics on the device, double-buffered.
//! - [`classifier`]: inference of a classification model.
//! - `function`: a program without state.
//! - [`grad_cam`]: Grad-CAM heatmaps.
//! - [`staging`]: whether inputs are prefetched to the device while a step runs.
//! - [`step`]: runs a program step by step.

pub mod classifier;
mod cudnn;
pub mod device;
mod element;
mod error;
mod function;
pub mod grad_cam;
pub mod library;
pub mod operators;
mod placement;
mod profile;
mod provider;
pub mod session;
pub mod staging;
pub mod state;
pub mod step;

pub use classifier::{Classifier, ImageInput};
pub use device::Device;
pub use error::Error;
pub use function::Function;
pub use grad_cam::{GradCam, Heatmap};
pub use operators::Operators;
pub use profile::OperatorTime;
pub use session::{Runtime, SessionOptions};
pub use staging::Staging;
pub use state::DeviceState;
pub use step::StepRunner;

pub use crate::program::Tensor;

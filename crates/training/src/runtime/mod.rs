//! Runs programs on ONNX Runtime, the only module that names it.
//!
//! # Layout
//!
//! - [`library`]: where the shared library is looked for.
//! - [`device`]: `cpu`, `cuda`, `cuda:1`.
//! - `placement`: which execution provider each node of a session runs on.
//! - [`session`]: the loaded library and the sessions made from it.
//! - [`operators`]: our own operators, for CPU sessions.
//! - `profile`: where the time goes.
//! - [`state`]: parameters, moments and running statistics on the device, in two sets of buffers.
//! - [`classifier`]: a model for prediction.
//! - [`grad_cam`]: where in an image a model sees a class.
//! - [`staging`]: whether inputs are copied while a step runs.
//! - [`step`]: one run of a program: host buffers in, state from one set of buffers to the other, host buffers out.

pub mod classifier;
pub mod device;
mod element;
mod error;
pub mod grad_cam;
pub mod library;
pub mod operators;
mod placement;
mod profile;
pub mod session;
pub mod staging;
pub mod state;
pub mod step;

pub use classifier::{Classifier, ImageInput};
pub use device::Device;
pub use error::Error;
pub use grad_cam::{GradCam, Heatmap};
pub use operators::Operators;
pub use profile::OperatorTime;
pub use session::{Runtime, SessionOptions};
pub use staging::Staging;
pub use state::DeviceState;
pub use step::StepRunner;

pub use crate::program::Tensor;

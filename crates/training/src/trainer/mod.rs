//! Training of networks from ONNX files.
//!
//! # Layout
//! - [`Model`]: a network and what of it is trained; [`Trainer`]: trains it on arrays ([`Array`]).
//! - [`Stepper`]: one optimizer step of any [`TrainSpec`](crate::program::TrainSpec) on a device, for the whole batch or accumulated over micro-batches.
//! - [`Evaluator`], [`InPlaceGradCam`]: inference with the state of a step, between steps.
//! - `state_file`: the state as a safetensors file.

mod array;
mod builder;
#[cfg(test)]
mod cuda_tests;
mod error;
mod evaluator;
mod model;
mod state_file;
pub mod stepper;
#[cfg(test)]
mod tests;
#[expect(clippy::module_inception, reason = "the type that the module is named for")]
mod trainer;

pub use array::Array;
pub use builder::TrainerBuilder;
pub use error::Error;
pub use evaluator::{Evaluator, InPlaceGradCam};
pub use model::Model;
pub use stepper::{StepInputs, StepOutput, Stepper};
pub use trainer::Trainer;

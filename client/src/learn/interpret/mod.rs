//! Interpretation of a trained model: the images of largest loss with Grad-CAM maps, as fastai's `ClassificationInterpretation`.
//!
//! # Layout
//!
//! - [`RunInterpreter`]: evaluates a run's model and saves the images of largest loss.
//! - [`TopLosses`]: collects the images of largest loss.
//! - [`mod@overlay`]: a Grad-CAM map over its image.
//! - [`Interpretation`]: metrics and images of largest loss, as saved in the run's folder.

mod interpreter;
mod overlay;
mod store;
mod top_losses;

pub use interpreter::{Error, RunInterpreter};
pub use overlay::overlay;
pub use store::{Interpretation, TopLossRecord};
pub use top_losses::{TopLoss, TopLosses};

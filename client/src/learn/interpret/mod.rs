//! Interpretation of a trained model: the images of largest loss with Grad-CAM maps, as fastai's `ClassificationInterpretation`.
//!
//! # Layout
//!
//! - [`RunInterpreter`]: evaluates a run's model and saves the images of largest loss; [`EvaluatedSplit`]: an evaluated model.
//! - [`TopLosses`]: collects the images of largest loss.
//! - [`mod@overlay`]: a Grad-CAM map over its image.
//! - [`Interpretation`]: metrics and images of largest loss, as saved in the run's folder.

mod interpreter;
mod overlay;
mod store;
mod top_losses;

/// Number of images of largest loss in the report of a run.
pub const TOP_LOSSES: usize = 12;

pub use interpreter::{Error, EvaluatedSplit, RunInterpreter};
pub use overlay::overlay;
pub use store::{Interpretation, TopLossRecord};
pub use top_losses::{TopLoss, TopLosses};

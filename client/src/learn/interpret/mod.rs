//! A trained model looked at closely: judged once more, the images that it was most wrong about kept with where it looked.
//!
//! # Layout
//!
//! - [`RunInterpreter`]: does it.
//! - [`TopLosses`]: the images of largest loss among all that pass by.
//! - [`mod@overlay`]: where the model looked, over the image.
//! - [`Interpretation`]: the figures and the worst images, as they are kept in a run's folder.

mod interpreter;
mod overlay;
mod store;
mod top_losses;

pub use interpreter::{Error, RunInterpreter};
pub use overlay::overlay;
pub use store::{Interpretation, TopLossRecord};
pub use top_losses::{TopLoss, TopLosses};

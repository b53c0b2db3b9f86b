//! How good predictions are. Every figure is a pure function of logits and labels.
//!
//! # Layout
//!
//! - [`Tally`]: predictions counted as they come.
//! - [`ConfusionMatrix`]: what was taken for what, and the figures that follow from it.
//! - [`auroc`](auroc()): the one figure that needs all scores together.
//! - [`Figures`]: all figures of a split, as they are written to files.
//! - [`Metric`]: one of them by name, and whether more of it is better.
//! - [`Proportion`]: hits of so many images, with its interval. [`Rarest`]: the classes with the fewest training images.
//! - [`most_confused`]: pairs of classes that were confused.
//! - `logits`: figures of one row of logits. `smoothed`: the training loss that is shown.

mod auroc;
mod confused;
mod figures;
mod logits;
mod matrix;
mod metric;
mod proportion;
mod rarest;
mod smoothed;
mod tally;

pub use auroc::auroc;
pub use confused::{Confused, most_confused};
pub use figures::{ClassFigures, Figures};
pub use logits::{argmax, cross_entropy, place, softmax};
pub use matrix::ConfusionMatrix;
pub use metric::{Metric, ParseMetricError};
pub use proportion::{FEW, Proportion};
pub use rarest::Rarest;
pub use smoothed::SmoothedLoss;
pub(in crate::learn) use smoothed::weight;
pub use tally::Tally;

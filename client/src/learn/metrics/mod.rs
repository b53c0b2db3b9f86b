//! How good predictions are. Every figure is a pure function of logits and labels.
//!
//! # Layout
//!
//! - [`MetricAccumulator`]: predictions counted as they come.
//! - [`ConfusionMatrix`]: what was taken for what, and the figures that follow from it.
//! - [`auroc`](auroc()): the one figure that needs all scores together.
//! - [`Metrics`]: all figures of a split, as they are written to files.
//! - [`Metric`]: one of them by name, and whether more of it is better.
//! - [`Proportion`]: hits of so many images, with its interval. [`RarestClasses`]: the classes with the fewest training images.
//! - [`most_confused`]: pairs of classes that were confused.
//! - `logits`: figures of one row of logits. `smoothed`: the training loss that is shown.

mod accumulator;
mod auroc;
mod confused;
mod logits;
mod matrix;
mod metric;
mod proportion;
mod rarest;
mod smoothed;
mod summary;

pub use accumulator::MetricAccumulator;
pub use auroc::auroc;
pub use confused::{ConfusedPair, most_confused};
pub use logits::{argmax, cross_entropy, rank, softmax};
pub use matrix::ConfusionMatrix;
pub use metric::{Metric, ParseMetricError};
pub use proportion::{MIN_FOR_PERCENT, Proportion};
pub use rarest::RarestClasses;
pub use smoothed::SmoothedLoss;
pub(in crate::learn) use smoothed::weight;
pub use summary::{ClassMetrics, Metrics};

//! Classification metrics, as pure functions of logits and labels.
//!
//! # Layout
//!
//! - [`MetricAccumulator`]: accumulates predictions.
//! - [`ConfusionMatrix`]: counts of predictions, and metrics computed from them.
//! - `calibration`: how far probabilities are from frequencies.
//! - [`auroc`](auroc()): the only metric that needs all scores at once.
//! - [`Metrics`]: all metrics of a split, as written to files.
//! - [`Metric`]: a metric by name, and whether higher is better.
//! - [`Proportion`]: a proportion with its confidence interval. [`RarestClasses`]: the classes with the fewest training images.
//! - `interval`: 95 % confidence intervals, by Wilson and by bootstrap.
//! - [`PrecisionRecall`]: curves. [`ShotGroup`]: classes by their training images.
//! - `temperature`, `threshold`: what is fitted to validation images after training.
//! - [`most_confused`]: confused pairs of classes.
//! - `logits`: functions of one row of logits. `smoothed`: the smoothed training loss.

mod accumulator;
mod auroc;
mod calibration;
mod confused;
mod interval;
mod logits;
mod matrix;
mod metric;
mod precision_recall;
mod proportion;
mod rarest;
mod shots;
mod smoothed;
mod summary;
mod temperature;
mod threshold;

pub use accumulator::MetricAccumulator;
pub use auroc::auroc;
pub use calibration::{BINS, ReliabilityBin};
pub use confused::{ConfusedPair, most_confused};
pub use interval::{Interval, IntervalMethod, RESAMPLES, bootstrap, mean_of_proportions, wilson};
pub use logits::{argmax, cross_entropy, partition, rank, softmax};
pub use matrix::ConfusionMatrix;
pub use metric::{Metric, ParseMetricError};
pub use precision_recall::{PrecisionRecall, PrecisionRecallPoint, average_precision, curve};
pub use proportion::{MIN_FOR_PERCENT, Proportion};
pub use rarest::{RarestClasses, shortened};
pub use shots::{ShotGroup, Shots};
pub use smoothed::SmoothedLoss;
pub(in crate::learn) use smoothed::weight;
pub use summary::{ClassMetrics, Metrics};
pub use temperature::{TEMPERATURES, fit_balanced_temperature, fit_temperature};
pub use threshold::{Criterion, ScoredImage, Threshold, log_odds};

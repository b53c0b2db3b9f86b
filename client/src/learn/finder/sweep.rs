use equibatch_training::schedule::sweep_at;
use serde::{Deserialize, Serialize};

use crate::learn::metrics::SmoothedLoss;

/// The learning rates of a sweep: geometric from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepRange {
    /// First learning rate.
    pub start: f64,
    /// End of the range, exclusive.
    pub end: f64,
    /// Number of steps.
    pub steps: u64,
    /// Whether to stop when the loss diverges or is NaN.
    pub stops: bool,
}

impl Default for SweepRange {
    /// fastai's: 100 steps from 1e-7 to 10, stopping when the loss diverges.
    fn default() -> Self {
        Self {
            start: 1e-7,
            end: 10.0,
            steps: 100,
            stops: true,
        }
    }
}

/// One step of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Loss of its batch.
    pub loss: f64,
    /// Smoothed loss so far, which is plotted and used for suggestions.
    pub smoothed_loss: f64,
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepEnd {
    /// All steps were done.
    Complete,
    /// The smoothed loss exceeded four times its minimum.
    Diverged,
    /// The loss was NaN.
    NotANumber,
}

/// The state of a sweep over learning rates.
#[derive(Clone, Debug)]
pub struct Sweep {
    range: SweepRange,
    smoothed: SmoothedLoss,
    best: f64,
    points: Vec<SweepPoint>,
    end: Option<SweepEnd>,
}

/// The loss has diverged when its smoothed value exceeds this many times its minimum.
const DIVERGENCE_FACTOR: f64 = 4.0;

impl Sweep {
    /// A sweep before its first step.
    #[must_use]
    pub fn new(range: SweepRange) -> Self {
        Self {
            range,
            smoothed: SmoothedLoss::default(),
            best: f64::INFINITY,
            points: Vec::new(),
            end: None,
        }
    }

    /// The learning rate of the next step; `None` if the sweep has ended.
    #[must_use]
    pub fn next_rate(&self) -> Option<f64> {
        let SweepRange {
            start, end, steps, ..
        } = self.range;
        let step = self.points.len() as u64;
        (self.end.is_none() && step < steps).then(|| sweep_at(start, end, steps, step))
    }

    /// Records the loss of the step with the rate of [`Sweep::next_rate`].
    ///
    /// # Panics
    ///
    /// If the sweep has ended.
    pub fn record(&mut self, loss: f64) -> &SweepPoint {
        let learning_rate = self.next_rate().expect("the sweep has not ended");
        self.smoothed.add(loss);
        let smoothed_loss = self.smoothed.value().unwrap_or(loss);
        self.best = self.best.min(smoothed_loss);
        if self.range.stops && smoothed_loss.is_nan() {
            self.end = Some(SweepEnd::NotANumber);
        } else if self.range.stops && smoothed_loss > DIVERGENCE_FACTOR * self.best {
            self.end = Some(SweepEnd::Diverged);
        } else if self.points.len() as u64 + 1 == self.range.steps {
            self.end = Some(SweepEnd::Complete);
        }
        self.points.push(SweepPoint {
            learning_rate,
            loss,
            smoothed_loss,
        });
        &self.points[self.points.len() - 1]
    }

    /// The steps so far.
    #[must_use]
    pub fn points(&self) -> &[SweepPoint] {
        &self.points
    }

    /// How it ended; `None` while it is running.
    #[must_use]
    pub fn end(&self) -> Option<SweepEnd> {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sweeps with a loss that is a function of the learning rate.
    fn swept(range: SweepRange, loss: impl Fn(f64) -> f64) -> Sweep {
        let mut sweep = Sweep::new(range);
        while let Some(rate) = sweep.next_rate() {
            sweep.record(loss(rate));
        }
        sweep
    }

    #[test]
    fn a_constant_loss_is_swept_over_the_half_open_range() {
        let sweep = swept(SweepRange::default(), |_| 2.0);
        let points = sweep.points();
        assert_eq!((points.len(), sweep.end()), (100, Some(SweepEnd::Complete)));
        for (step, expected) in [(0, 1e-7), (1, 1.2023e-7), (50, 1e-3), (99, 8.3176)] {
            assert!(
                (points[step].learning_rate / expected - 1.0).abs() < 5e-5,
                "{step}"
            );
        }
        assert!(
            points
                .iter()
                .all(|point| (point.smoothed_loss - 2.0).abs() < 1e-12)
        );
    }

    #[test]
    fn losses_are_smoothed_as_in_fastai() {
        let mut sweep = Sweep::new(SweepRange::default());
        let losses = [1.0, 3.0, 2.0];
        let smoothed = losses.map(|loss| sweep.record(loss).smoothed_loss);
        // m = 0.98·m + 0.02·loss, divided by 1 − 0.98ⁿ.
        let expected = [1.0, 0.0796 / 0.0396, 0.118_008 / 0.058_808];
        for (found, expected) in smoothed.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{smoothed:?}");
        }
    }

    #[test]
    fn a_diverging_loss_ends_the_sweep_at_four_times_the_minimum() {
        // Smoothing delays the detection by some steps.
        let sweep = swept(
            SweepRange::default(),
            |rate| if rate < 1e-2 { 1.0 } else { 100.0 },
        );
        let last = sweep.points().last().expect("steps");
        assert_eq!(sweep.end(), Some(SweepEnd::Diverged));
        assert!(last.smoothed_loss > 4.0 && last.learning_rate < 5e-2, "{last:?}");
        assert!(
            sweep.points()[..sweep.points().len() - 1]
                .iter()
                .all(|point| point.smoothed_loss <= 4.0)
        );
        let told_not_to = SweepRange {
            stops: false,
            ..SweepRange::default()
        };
        assert_eq!(swept(told_not_to, |rate| rate * 1e6).points().len(), 100);
    }

    #[test]
    fn a_nan_loss_ends_the_sweep() {
        let sweep = swept(
            SweepRange::default(),
            |rate| if rate < 1e-3 { 1.0 } else { f64::NAN },
        );
        assert_eq!(
            (sweep.points().len(), sweep.end()),
            (51, Some(SweepEnd::NotANumber))
        );
    }
}

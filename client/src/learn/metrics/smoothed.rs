//! The smoothed training loss.

use serde::{Deserialize, Serialize};

/// The smoothed training loss: a debiased exponential moving average over the whole run, `m <- 0.98 m + 0.02 loss`, shown as
/// `m / (1 - 0.98^n)`.
///
/// # Source
///
/// `SmoothenValue` of fastai 1.0, `fastai/callback.py`, with the default `beta` of its `Recorder`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SmoothedLoss {
    average: f64,
    count: u64,
}

impl SmoothedLoss {
    const BETA: f64 = 0.98;

    /// Adds the loss of one batch.
    pub fn add(&mut self, loss: f64) {
        self.average = Self::BETA * self.average + (1.0 - Self::BETA) * loss;
        self.count += 1;
    }

    /// The average so far. `None` before the first batch.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.average / (1.0 - Self::BETA.powf(self.count as f64)))
    }
}

/// Weight of the loss of batch `batch` in the value after batch `after`, both from 0; 0 if it comes later.
pub(in crate::learn) fn weight(batch: usize, after: usize) -> f64 {
    let Some(ago) = after.checked_sub(batch) else {
        return 0.0;
    };
    let beta = SmoothedLoss::BETA;
    (1.0 - beta) * beta.powf(ago as f64) / (1.0 - beta.powf(after as f64 + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smoothed_loss_of_a_constant_is_the_constant() {
        let mut loss = SmoothedLoss::default();
        assert_eq!(loss.value(), None);
        for _ in 0..100 {
            loss.add(0.7);
            assert!((loss.value().expect("a value") - 0.7).abs() < 1e-12);
        }
    }

    #[test]
    fn the_smoothed_loss_weighs_recent_batches_more() {
        let mut loss = SmoothedLoss::default();
        loss.add(1.0);
        loss.add(0.0);
        let expected = 0.98 * 0.02 / (1.0 - 0.98 * 0.98);
        assert!((loss.value().expect("a value") - expected).abs() < 1e-15);
        assert!((weight(0, 1) - expected).abs() < 1e-15);
        assert_eq!(weight(2, 1), 0.0);
    }
}

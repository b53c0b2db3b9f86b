use std::f64::consts::PI;

/// One-cycle schedule: over a training run, the learning rate is annealed up and then down by cosines, and momentum inversely.
///
/// # Source
/// fastai's `OneCycleScheduler` with its defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// Number of batches of the run.
    pub steps: u64,
    /// Fraction of the batches in which the learning rate rises, 0..=1 (fastai's `pct_start`).
    pub rising: f64,
    /// Maximum learning rate divided by the initial one (fastai's `div`).
    pub start_divisor: f64,
    /// Maximum learning rate divided by the final one (fastai's `div_final`).
    pub end_divisor: f64,
    /// Momentum at both ends, and at the peak of the learning rate.
    pub momentum: [f64; 2],
}

/// Learning rate factor and momentum of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Factor of each layer group's maximum learning rate.
    pub rate: f64,
    /// Adam's β₁.
    pub momentum: f64,
}

impl OneCycle {
    /// fastai's defaults over `steps` batches: 30 % rising from 1/25, falling to 1/250 000, momentum 0.95 to 0.85 and back.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self {
            steps,
            rising: 0.3,
            start_divisor: 25.0,
            end_divisor: 250_000.0,
            momentum: [0.95, 0.85],
        }
    }

    /// The setting of batch `step`, counted from zero. The peak is reached exactly; the final value only at `steps` and later.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "step counts are far below 2^52, and their product with a fraction is not negative"
    )]
    pub fn at(&self, step: u64) -> Setting {
        let rising = (self.steps as f64 * self.rising) as u64;
        let falling = self.steps.saturating_sub(rising).max(1);
        // A phase has at least one batch.
        let rising = rising.max(1);
        let [outer, inner] = self.momentum;
        if step <= rising {
            let progress = step as f64 / rising as f64;
            let rate = half_cosine(1.0 / self.start_divisor, 1.0, progress);
            Setting {
                rate,
                momentum: half_cosine(outer, inner, progress),
            }
        } else {
            let progress = ((step - rising) as f64 / falling as f64).min(1.0);
            let rate = half_cosine(1.0, 1.0 / self.end_divisor, progress);
            Setting {
                rate,
                momentum: half_cosine(inner, outer, progress),
            }
        }
    }
}

/// Cosine annealing from `start` at progress 0 to `end` at progress 1.
pub(super) fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) / 2.0 * ((PI * progress).cos() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batch, learning rate (with a maximum of 3e-3) and momentum for 100 batches, computed from fastai's formula.
    const REFERENCE: [(u64, f64, f64); 9] = [
        (0, 1.2e-4, 0.95),
        (1, 1.27888e-4, 0.949726),
        (15, 1.56e-3, 0.9),
        (29, 2.99211e-3, 0.850274),
        (30, 3e-3, 0.85),
        (31, 2.99849e-3, 0.85005),
        (65, 1.500006e-3, 0.9),
        (98, 6.0505e-6, 0.949799),
        (99, 1.52239e-6, 0.94995),
    ];

    #[test]
    fn a_hundred_batches_follow_fastai() {
        let cycle = OneCycle::new(100);
        for (step, rate, momentum) in REFERENCE {
            let setting = cycle.at(step);
            // The expected values have five or more digits.
            assert!(
                (setting.rate * 3e-3 / rate - 1.0).abs() < 1e-5,
                "{step}: {}",
                setting.rate * 3e-3
            );
            assert!(
                (setting.momentum - momentum).abs() < 5e-7,
                "{step}: {}",
                setting.momentum
            );
        }
    }

    #[test]
    fn a_run_too_short_to_rise_peaks_at_its_second_batch() {
        let cycle = OneCycle::new(3);
        assert!((cycle.at(0).rate - 1.0 / 25.0).abs() < 1e-12);
        assert_eq!(cycle.at(1).rate, 1.0);
        assert!(cycle.at(2).rate < 1.0);
    }

    #[test]
    fn steps_after_the_end_keep_the_final_setting() {
        let cycle = OneCycle::new(10);
        assert_eq!(cycle.at(10), cycle.at(1000));
        assert!((cycle.at(10).rate * 250_000.0 - 1.0).abs() < 1e-6);
    }
}

use serde::Serialize;

use super::SweepPoint;
use crate::learn::metrics::weight;

/// Points at the start, where the average covers few losses, and at the end, where the loss diverges, that are neither used nor plotted.
const SKIPPED: [usize; 2] = [10, 5];

/// Standard errors by which the loss must fall. On pure noise, one sweep in forty has a valley as deep as this.
const SIGNIFICANCE: f64 = 3.0;

/// Learning rates that a sweep suggests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suggestions {
    /// At the middle of the longest valley of the smoothed loss; the value of `--max-lr found`.
    pub valley: f64,
    /// At the steepest descent of the smoothed loss.
    pub steepest: f64,
    /// A tenth of the rate at the minimum of the smoothed loss.
    pub lowest_tenth: f64,
}

/// Why a sweep suggests no learning rate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoSuggestion {
    /// It has too few points.
    #[error(
        "{steps} steps are too few to suggest a learning rate: the first {} and the last {} are not used",
        SKIPPED[0],
        SKIPPED[1]
    )]
    TooFew {
        /// Steps of the sweep.
        steps: usize,
    },
    /// The fall of the loss is not significant.
    #[error(
        "the curve suggests no learning rate: the smoothed loss falls by {fall:.3}, which is not significant at a standard deviation of {noise:.3} \
        between batches; larger batches (--batch-size) reduce it"
    )]
    Noise {
        /// Depth of the longest valley of the smoothed loss.
        fall: f64,
        /// Standard deviation of the batch losses, estimated from differences of neighbours.
        noise: f64,
    },
}

impl Suggestions {
    /// Suggestions of a sweep.
    ///
    /// The slope is taken over the step number, which is linear in the logarithm of the learning rate: central differences, one-sided at
    /// the ends. Ties go to the first point. The valley is the longest strictly decreasing subsequence of losses; the suggested rate is at
    /// half of its length.
    ///
    /// # Errors
    ///
    /// [`NoSuggestion`] if there are too few points or the fall of the loss is not significant.
    ///
    /// # Source
    ///
    /// `steepest` and `lowest_tenth`: `Recorder.plot(suggestion=True)` of fastai 1.0. `valley`: the default of fastai 2's `lr_find`. The
    /// significance test is not from fastai.
    pub fn of(points: &[SweepPoint]) -> Result<Self, NoSuggestion> {
        let usable = usable(points);
        if usable.len() < 2 {
            return Err(NoSuggestion::TooFew { steps: points.len() });
        }
        let loss = |index: usize| usable[index].smoothed_loss;
        let last = usable.len() - 1;
        let slope = |index: usize| {
            let (before, behind) = (index.saturating_sub(1), (index + 1).min(last));
            (loss(behind) - loss(before)) / (behind - before) as f64
        };
        let (start, end) = valley((0..=last).map(loss));
        check_significance(points, SKIPPED[0] + start, SKIPPED[0] + end)?;
        let rate = |index: usize| usable[index].learning_rate;
        Ok(Self {
            valley: rate(start + (end - start) / 3 + (end - start) / 6),
            steepest: rate(least((0..=last).map(slope))),
            lowest_tenth: rate(least((0..=last).map(loss))) / 10.0,
        })
    }
}

/// Start and end index of the longest valley: the end of the longest decreasing subsequence, and that minus its length.
fn valley(losses: impl Iterator<Item = f64>) -> (usize, usize) {
    // `ends[n]`: the largest final value of any decreasing subsequence of length n + 1 so far.
    let mut ends: Vec<f64> = vec![];
    let mut end = 0;
    for (index, loss) in losses.enumerate() {
        let length = ends.partition_point(|&end| end > loss);
        if length == ends.len() {
            ends.push(loss);
            end = index;
        } else {
            ends[length] = loss;
        }
    }
    (end.saturating_sub(ends.len()), end)
}

/// Checks that the fall of the smoothed loss between two points is significant.
fn check_significance(points: &[SweepPoint], start: usize, end: usize) -> Result<(), NoSuggestion> {
    let steps = points[..=end].windows(2);
    let squares: f64 = steps.map(|pair| (pair[1].loss - pair[0].loss).powi(2)).sum();
    // The difference of neighbours has twice the noise variance; the trend between them is negligible.
    let noise = (squares / (2 * end.max(1)) as f64).sqrt();
    let difference = |batch| weight(batch, end) - weight(batch, start);
    let error = noise
        * (0..=end)
            .map(|batch| difference(batch).powi(2))
            .sum::<f64>()
            .sqrt();
    let fall = points[start].smoothed_loss - points[end].smoothed_loss;
    if fall > SIGNIFICANCE * error {
        return Ok(());
    }
    Err(NoSuggestion::Noise { fall, noise })
}

/// The points that are used and plotted: without both ends, and up to the first loss that is not finite.
#[must_use]
pub fn usable(points: &[SweepPoint]) -> &[SweepPoint] {
    let [first, behind] = SKIPPED;
    let usable = points
        .get(first..points.len().saturating_sub(behind))
        .unwrap_or_default();
    let finite = usable.iter().take_while(|point| point.smoothed_loss.is_finite());
    &usable[..finite.count()]
}

/// Index of the smallest number, the first of equals.
fn least(numbers: impl Iterator<Item = f64>) -> usize {
    let least = numbers.enumerate().min_by(|one, other| one.1.total_cmp(&other.1));
    least.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::finder::{Sweep, SweepRange};
    use equibatch_training::schedule::sweep_at;

    fn points(losses: impl IntoIterator<Item = f64>) -> Vec<SweepPoint> {
        let losses: Vec<f64> = losses.into_iter().collect();
        let point = |(step, loss): (u64, &f64)| SweepPoint {
            learning_rate: sweep_at(1e-7, 10.0, 100, step),
            loss: *loss,
            smoothed_loss: *loss,
        };
        (0..).zip(&losses).map(point).collect()
    }

    fn rate(step: u64) -> f64 {
        sweep_at(1e-7, 10.0, 100, step)
    }

    /// A logistic fall at step 50, and a rise from step 80 on.
    fn clear() -> impl Iterator<Item = f64> {
        (0..100).map(|step| {
            let x = f64::from(step);
            1.0 / (1.0 + ((x - 50.0) / 4.0).exp()) + ((x - 80.0) / 5.0).max(0.0).powi(2)
        })
    }

    /// Pseudorandom numbers from -1 to 1.
    fn noise(step: u32) -> f64 {
        f64::from(step.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 23) - 1.0
    }

    fn swept(losses: impl Iterator<Item = f64>) -> Sweep {
        let mut sweep = Sweep::new(SweepRange::default());
        for loss in losses {
            sweep.record(loss);
        }
        sweep
    }

    #[test]
    fn the_valley_the_steepest_descent_and_the_lowest_loss_are_found() {
        let found = Suggestions::of(&points(clear())).expect("a clear curve");
        assert_eq!(found.steepest, rate(50));
        assert_eq!(found.lowest_tenth, rate(80) / 10.0);
        // It falls from step 10, the first used point, to step 80: 70 steps, of which a third and a sixth are skipped.
        assert_eq!(found.valley, rate(10 + 23 + 11));
    }

    /// Reference in quadratic time, as in fastai 2.
    #[test]
    fn the_longest_valley_equals_the_quadratic_reference() {
        for salt in 0..200 {
            let losses: Vec<f64> = (0..40)
                .map(|step| (noise(step + salt * 40) * 9.0).round())
                .collect();
            let mut lengths = vec![1; losses.len()];
            let mut expected_end = 0;
            for i in 1..losses.len() {
                for j in 0..i {
                    if losses[i] < losses[j] {
                        lengths[i] = lengths[i].max(lengths[j] + 1);
                    }
                }
                if lengths[i] > lengths[expected_end] {
                    expected_end = i;
                }
            }
            let expected = (expected_end.saturating_sub(lengths[expected_end]), expected_end);
            assert_eq!(valley(losses.iter().copied()), expected, "{losses:?}");
        }
    }

    #[test]
    fn pure_noise_gives_no_suggestion_but_a_noisy_clear_curve_does() {
        for salt in 0..20 {
            let noisy = |step: u32| noise(step * 20 + salt);
            let flat = swept((0..100).map(|step| 2.0 + noisy(step)));
            let refused = Suggestions::of(flat.points()).expect_err("noise alone");
            assert!(
                matches!(refused, NoSuggestion::Noise { noise, .. } if (0.3..0.9).contains(&noise)),
                "{refused:?}"
            );
            let message = refused.to_string();
            assert!(message.contains("--batch-size"), "{message}");
            let falling = (0..80_u32).map(|step| if step < 45 { 2.0 } else { 0.5 } + 0.3 * noisy(step));
            let found = Suggestions::of(swept(falling).points()).expect("a clear curve");
            assert!(found.valley > rate(40), "{found:?}");
        }
    }

    #[test]
    fn slopes_at_the_ends_are_one_sided() {
        // The first used point is raised by 0.5, of which its neighbour's central difference sees half.
        let mut points = points(clear());
        points[10].smoothed_loss += 0.5;
        let found = Suggestions::of(&points).expect("a clear curve");
        assert_eq!(found.steepest, rate(10));
    }

    #[test]
    fn points_at_the_ends_are_not_used() {
        let mut points = points(clear());
        points[9].smoothed_loss = -5.0;
        points[95].smoothed_loss = -9.0;
        let found = Suggestions::of(&points).expect("a clear curve");
        assert_eq!(found.lowest_tenth, rate(80) / 10.0);
    }

    #[test]
    fn points_after_a_nan_loss_are_not_used() {
        let mut points = points(clear());
        points[90].smoothed_loss = f64::NAN;
        assert_eq!(usable(&points).len(), 80);
        assert!(Suggestions::of(&points).is_ok());
    }

    #[test]
    fn too_few_points_give_no_suggestion() {
        let falling = |count: u32| points((0..count).map(|step| 9.0 - f64::from(step).powi(2)));
        for count in [0, 5, 15, 16] {
            let refused = Suggestions::of(&falling(count)).expect_err("too few");
            assert_eq!(
                refused,
                NoSuggestion::TooFew {
                    steps: count as usize
                }
            );
        }
        assert!(Suggestions::of(&falling(30)).is_ok());
    }
}

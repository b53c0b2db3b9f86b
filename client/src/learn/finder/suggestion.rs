use serde::Serialize;

use super::Point;

/// Points at the beginning, where the average is of few losses, and at the end, where it runs away, that are neither judged nor drawn.
const SKIPPED: [usize; 2] = [10, 5];

/// Learning rates that a sweep suggests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suggestions {
    /// Where the smoothed loss falls most steeply.
    pub steepest: f64,
    /// A tenth of that of the least smoothed loss.
    pub lowest_tenth: f64,
}

impl Suggestions {
    /// Those of a sweep; `None` where it has too few points.
    ///
    /// The slope is that over the number of the step, which is the logarithm of the learning rate: half the difference of the neighbours,
    /// at the ends the difference from the only neighbour. Of equal values the first counts.
    #[must_use]
    pub fn of(points: &[Point]) -> Option<Self> {
        let points = judged(points);
        if points.len() < 2 {
            return None;
        }
        let loss = |index: usize| points[index].smoothed_loss;
        let last = points.len() - 1;
        let slope = |index: usize| {
            let (before, behind) = (index.saturating_sub(1), (index + 1).min(last));
            (loss(behind) - loss(before)) / (behind - before) as f64
        };
        let steepest = least((0..=last).map(slope))?;
        let lowest = least((0..=last).map(loss))?;
        Some(Self {
            steepest: points[steepest].learning_rate,
            lowest_tenth: points[lowest].learning_rate / 10.0,
        })
    }
}

/// The points that are judged and drawn.
#[must_use]
pub fn judged(points: &[Point]) -> &[Point] {
    let [first, behind] = SKIPPED;
    points
        .get(first..points.len().saturating_sub(behind))
        .unwrap_or_default()
}

/// Where the least number stands.
fn least(numbers: impl Iterator<Item = f64>) -> Option<usize> {
    let numbered = numbers.enumerate().filter(|(_, number)| !number.is_nan());
    numbered
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::sweep_at;

    fn points(losses: impl IntoIterator<Item = f64>) -> Vec<Point> {
        let losses: Vec<f64> = losses.into_iter().collect();
        let point = |(step, loss): (u64, &f64)| Point {
            learning_rate: sweep_at(1e-7, 10.0, 100, step),
            loss: *loss,
            smoothed_loss: *loss,
        };
        (0..).zip(&losses).map(point).collect()
    }

    fn rate(step: u64) -> f64 {
        sweep_at(1e-7, 10.0, 100, step)
    }

    #[test]
    fn the_steepest_descent_and_the_lowest_loss_are_found() {
        // A logistic fall around step 50, and a rise from step 80 on.
        let losses = (0..100).map(|step| {
            let x = f64::from(step);
            1.0 / (1.0 + ((x - 50.0) / 4.0).exp()) + ((x - 80.0) / 5.0).max(0.0).powi(2)
        });
        let found = Suggestions::of(&points(losses)).expect("enough points");
        assert_eq!(found.steepest, rate(50));
        assert_eq!(found.lowest_tenth, rate(80) / 10.0);
    }

    #[test]
    fn ends_are_judged_by_their_only_neighbour() {
        let mut losses = vec![1.0; 20];
        // The first judged point falls by 0.5 to its neighbour, at which half of that is seen.
        losses[10] = 1.5;
        let found = Suggestions::of(&points(losses)).expect("enough points");
        assert_eq!(found.steepest, rate(10));
    }

    #[test]
    fn what_stands_outside_is_not_judged() {
        let mut losses = vec![1.0; 40];
        losses[9] = 0.0;
        losses[35] = -9.0;
        losses[20] = 0.5;
        let found = Suggestions::of(&points(losses)).expect("enough points");
        assert_eq!(found.lowest_tenth, rate(20) / 10.0);
    }

    #[test]
    fn too_few_points_suggest_nothing() {
        for count in [0, 5, 15, 16] {
            assert_eq!(Suggestions::of(&points(vec![1.0; count])), None, "{count}");
        }
        assert!(Suggestions::of(&points(vec![1.0; 17])).is_some());
    }
}

//! Class-balanced log loss of an arm, and whether it tells two arms apart.

use super::{TrainedArm, mean_std::student_t};
use crate::learn::{
    metrics::{cross_entropy, fit_balanced_temperature},
    predictions::Predictions,
};

/// Smallest difference of two losses that counts, in nats: about one percent of a probability.
const MARGIN: f64 = 0.01;

/// Class-balanced log loss of an arm: the mean over the classes of the mean cross-entropy of their images, where the logits of each model are divided
/// by the temperature for which that is smallest.
///
/// Unlike a recall, it changes with each image by degrees, also where a class has a handful. The temperature makes arms comparable that are trained
/// for different lengths: only what the logits say of one image against another counts, and where the boundary lies. It is at most the logarithm of
/// the number of classes, within the range of temperatures, so that one confident error does not decide.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancedLoss {
    /// By class, those with images: the cross-entropy of each image, the mean of all repeats.
    by_class: Vec<Vec<f64>>,
}

impl BalancedLoss {
    /// The loss of an arm whose repeats were evaluated on the same images; `None` without images.
    #[must_use]
    pub fn of(trained: &TrainedArm) -> Option<Self> {
        let repeats: Vec<&Predictions> = trained.repeats.iter().map(|repeat| &repeat.predictions).collect();
        let labels = &repeats.first()?.labels;
        let mut losses = vec![0.0; labels.len()];
        for predictions in &repeats {
            let labelled = predictions.labels.iter().map(|&label| label as usize);
            let temperature = fit_balanced_temperature(&predictions.rows().zip(labelled.clone()))?;
            let scaled = (*predictions).clone().at_temperature(temperature);
            let of_images = scaled
                .rows()
                .zip(labelled)
                .map(|(row, label)| cross_entropy(row, label));
            let sums = losses.iter_mut().zip(of_images);
            sums.for_each(|(sum, loss)| *sum += loss / repeats.len() as f64);
        }
        let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
        let mut by_class = vec![vec![]; classes];
        for (&label, loss) in labels.iter().zip(losses) {
            by_class[label as usize].push(loss);
        }
        by_class.retain(|losses| !losses.is_empty());
        (!by_class.is_empty()).then_some(Self { by_class })
    }

    /// Its value, in nats.
    #[must_use]
    pub fn value(&self) -> f64 {
        mean(self.by_class.iter().map(|losses| mean(losses.iter().copied())))
    }

    /// Whether it is lower than that of another arm on the same images by more than chance: the 95 % interval of the difference, which is paired by
    /// image, lies above [`MARGIN`]. Never if a class has a single image, which says nothing of others.
    ///
    /// # Source
    ///
    /// Student's t interval of a mean over strata, with the degrees of freedom of Welch and Satterthwaite: Satterthwaite, An Approximate Distribution of
    /// Estimates of Variance Components, Biometrics Bulletin 2, 1946.
    #[must_use]
    pub fn is_surely_below(&self, other: &Self) -> bool {
        let classes = self.by_class.len().min(other.by_class.len()) as f64;
        let (mut difference, mut variance, mut of_variance) = (0.0, 0.0, 0.0);
        for (own, others) in self.by_class.iter().zip(&other.by_class) {
            let pairs = || own.iter().zip(others).map(|(own, other)| other - own);
            let images = own.len() as f64;
            if images < 2.0 {
                return false;
            }
            let centre = mean(pairs());
            let squares: f64 = pairs().map(|pair| (pair - centre).powi(2)).sum();
            let of_mean = squares / (images - 1.0) / images / (classes * classes);
            difference += centre / classes;
            variance += of_mean;
            of_variance += of_mean * of_mean / (images - 1.0);
        }
        let degrees = if of_variance > 0.0 {
            variance * variance / of_variance
        } else {
            1.0
        };
        difference - student_t((degrees as usize).max(1)) * variance.sqrt() > MARGIN
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::learn::compare::{Arm, Repeat};

    /// An arm with one repeat; the log-odds of the rare class 0 of each of its images, and of each other image.
    pub(in crate::learn::compare) fn arm(name: &str, rare: &[f32], others: &[f32]) -> TrainedArm {
        let mut predictions = Predictions::default();
        let images = rare.iter().map(|odds| (0, odds));
        let images = images.chain(others.iter().map(|odds| (1, odds)));
        for (sample, (label, &odds)) in (0..).zip(images) {
            predictions.push(sample, label, &[odds, 0.0]);
        }
        TrainedArm {
            arm: Arm::named(name, &[]).expect("an arm"),
            repeats: vec![Repeat {
                seed: 1,
                run: "run".into(),
                predictions,
            }],
        }
    }

    fn loss(rare: &[f32], others: &[f32]) -> BalancedLoss {
        BalancedLoss::of(&arm("natural", rare, others)).expect("images")
    }

    #[test]
    fn classes_count_equally_at_the_best_temperature() {
        // Three of four right in each class, at log-odds ±a: the best temperature gives probability 3/4, whatever a is.
        let (rare, others) = ([1.0, 1.0, 1.0, -1.0], [-1.0, -1.0, -1.0, 1.0].repeat(10));
        let expected = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
        for factor in [0.5, 4.0] {
            let scaled = |odds: &[f32]| odds.iter().map(|odds| odds * factor).collect::<Vec<f32>>();
            let found = loss(&scaled(&rare), &scaled(&others)).value();
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        // A model that finds none of the rare class is not better than chance.
        let found = loss(&[-3.0; 4], &[-3.0; 40]).value();
        assert!((found - 2.0_f64.ln()).abs() < 0.01, "{found}");
    }

    #[test]
    fn arms_are_told_apart_by_several_images_and_never_by_one() {
        let others = [-2.0, -3.0, -1.5, -2.5, 0.5, -2.0, -3.0, -1.0];
        let good = [2.0, 1.0, 3.0, 1.5, 2.0, -0.5];
        let poor = [-1.0, -2.0, -0.5, -1.5, 0.5, -3.0];
        let [better, worse] = [loss(&good, &others), loss(&poor, &others)];
        assert!(better.is_surely_below(&worse));
        assert!(!worse.is_surely_below(&better) && !better.is_surely_below(&better));
        let [better, worse] = [loss(&[3.0], &others), loss(&[-3.0], &others)];
        assert!(better.value() < worse.value() && !better.is_surely_below(&worse));
        // Both classify all images correctly: what is left is far below a percent.
        let [surer, sure] = [3.0, 2.0].map(|odds| loss(&[odds; 6], &[-odds; 40]));
        assert!(!surer.is_surely_below(&sure));
    }
}

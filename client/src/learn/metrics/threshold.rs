//! The decision threshold of two classes.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Interval, bootstrap};
use crate::serde_text::string_conversions;

/// What a threshold is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Criterion {
    /// Largest balanced accuracy.
    BalancedAccuracy,
    /// Largest F1 of the positive class.
    F1,
    /// Smallest cost of the wrong predictions.
    Cost {
        /// Of an image of the other class that is predicted as the positive one.
        false_positive: f64,
        /// Of an image of the positive class that is predicted as the other one.
        false_negative: f64,
    },
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BalancedAccuracy => f.write_str("balanced-accuracy"),
            Self::F1 => f.write_str("f1"),
            Self::Cost {
                false_positive,
                false_negative,
            } => write!(f, "cost:{false_positive},{false_negative}"),
        }
    }
}

string_conversions!(Criterion);

impl FromStr for Criterion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cost = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|cost| cost.is_finite() && *cost >= 0.0)
        };
        let costs = |text: &str| {
            let (first, second) = text.split_once(',')?;
            Some((cost(first)?, cost(second)?)).filter(|(first, second)| first + second > 0.0)
        };
        match text {
            "balanced-accuracy" => Ok(Self::BalancedAccuracy),
            "f1" => Ok(Self::F1),
            _ => {
                let costs = text.strip_prefix("cost:").and_then(costs);
                let (false_positive, false_negative) = costs.ok_or_else(|| {
                    "expected balanced-accuracy, f1, or cost:FP,FN with two costs of at least 0, such as cost:1,5".to_owned()
                })?;
                Ok(Self::Cost {
                    false_positive,
                    false_negative,
                })
            }
        }
    }
}

/// An image by its log-odds of the positive class, and whether it is of it.
pub type ScoredImage = (f64, bool);

impl Criterion {
    /// The larger, the better. `None` if it is undefined, because a class has no images.
    fn value(self, [positive, negative]: [u64; 2], [hits, false_positives]: [u64; 2]) -> Option<f64> {
        let missed = positive - hits;
        let [positive, negative, hits, false_positives, missed] =
            [positive, negative, hits, false_positives, missed].map(|count| count as f64);
        (positive > 0.0 && negative > 0.0).then(|| match self {
            Self::BalancedAccuracy => f64::midpoint(hits / positive, (negative - false_positives) / negative),
            Self::F1 => 2.0 * hits / (2.0 * hits + false_positives + missed),
            Self::Cost {
                false_positive,
                false_negative,
            } => -(false_positive * false_positives + false_negative * missed),
        })
    }

    /// The best cut, as log-odds: images with at least these are predicted as the positive class. 0 if no other cut is better than it, otherwise
    /// the middle between two images. `sorted`: in ascending order of log-odds; `draws`: how often each counts. `None` if a class has no images.
    fn best_cut(self, sorted: &[ScoredImage], draws: &[u32]) -> Option<f64> {
        let count = |is_positive: bool| {
            let counted = sorted
                .iter()
                .zip(draws)
                .filter(|(image, _)| image.1 == is_positive);
            counted.map(|(_, &draws)| u64::from(draws)).sum::<u64>()
        };
        let images = [count(true), count(false)];
        let mut predicted = images;
        let mut best: Option<(f64, f64)> = None;
        let mut below = f64::NEG_INFINITY;
        let drawn = sorted.iter().zip(draws).filter(|(_, draws)| **draws > 0);
        let mut drawn = drawn.peekable();
        loop {
            // Cuts in (below, above] are equally good.
            let above = drawn.peek().map_or(f64::INFINITY, |(image, _)| image.0);
            let cut = match (below < 0.0 && above >= 0.0, below.is_finite(), above.is_finite()) {
                (true, ..) => 0.0,
                (_, true, true) => f64::midpoint(below, above),
                (_, true, false) => below + 1.0,
                (_, false, _) => above - 1.0,
            };
            let value = self.value(images, predicted)?;
            let is_better =
                best.is_none_or(
                    |(best_value, best_cut): (f64, f64)| match value.total_cmp(&best_value) {
                        Ordering::Equal => cut.abs() < best_cut.abs(),
                        order => order == Ordering::Greater,
                    },
                );
            if is_better {
                best = Some((value, cut));
            }
            if above == f64::INFINITY {
                return best.map(|(_, cut)| cut);
            }
            while let Some((image, draws)) = drawn.next_if(|(image, _)| image.0 == above) {
                predicted[usize::from(!image.1)] -= u64::from(*draws);
            }
            below = above;
        }
    }

    /// The best threshold, as a probability. `None` if a class has no images.
    #[must_use]
    pub fn best(self, images: &[ScoredImage]) -> Option<f64> {
        self.best_cut(&sorted(images), &vec![1; images.len()])
            .map(probability)
    }

    /// The 95 % interval of [`Criterion::best`] over bootstrap resamples of the images.
    #[must_use]
    pub fn best_interval(self, images: &[ScoredImage]) -> Option<Interval> {
        let sorted = sorted(images);
        let labels: Vec<u32> = sorted.iter().map(|image| u32::from(image.1)).collect();
        bootstrap(&labels, |draws| self.best_cut(&sorted, draws).map(probability))
    }
}

/// In ascending order of log-odds.
fn sorted(images: &[ScoredImage]) -> Vec<ScoredImage> {
    let mut sorted = images.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
    sorted
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The class of two that is predicted from which probability on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Label of the positive class: 0 or 1.
    pub label: usize,
    /// Smallest probability with which it is predicted, between 0 and 1.
    pub probability: f64,
}

impl Threshold {
    /// The predicted label of an image with these two logits.
    #[must_use]
    pub fn predicted(self, logits: &[f32]) -> usize {
        let cut = (self.probability / (1.0 - self.probability)).ln();
        if log_odds(logits, self.label) >= cut {
            self.label
        } else {
            1 - self.label
        }
    }
}

/// Log-odds of class `label` of two.
#[must_use]
pub fn log_odds(logits: &[f32], label: usize) -> f64 {
    f64::from(logits[label]) - f64::from(logits[1 - label])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CRITERIA: [Criterion; 3] = [
        Criterion::BalancedAccuracy,
        Criterion::F1,
        Criterion::Cost {
            false_positive: 1.0,
            false_negative: 7.0,
        },
    ];

    #[test]
    fn criteria_round_trip_through_text() {
        for text in ["balanced-accuracy", "f1", "cost:1,5", "cost:0.5,0"] {
            assert_eq!(text.parse::<Criterion>().expect("a criterion").to_string(), text);
        }
        for text in [
            "",
            "accuracy",
            "cost",
            "cost:1",
            "cost:-1,2",
            "cost:0,0",
            "cost:1,inf",
        ] {
            let error = text.parse::<Criterion>().expect_err(text);
            assert!(error.contains("cost:FP,FN"), "{error}");
        }
    }

    #[test]
    fn the_default_is_kept_if_no_other_threshold_is_better() {
        let images = [(-3.0, false), (-2.0, false), (4.0, true)];
        for criterion in CRITERIA {
            assert_eq!(criterion.best(&images), Some(0.5), "{criterion}");
        }
        assert_eq!(Criterion::F1.best(&images[..2]), None, "no positive image");
        assert_eq!(Criterion::F1.best_interval(&images[..2]), None);
    }

    #[test]
    fn a_rare_class_with_low_probabilities_gets_a_low_threshold() {
        let images: Vec<ScoredImage> = (0..40)
            .map(|image| (f64::from(image) / 4.0 - 14.0, false))
            .chain([(-5.0, true), (-3.0, true), (-2.0, true), (1.0, true)])
            .collect();
        let criterion = Criterion::BalancedAccuracy;
        let threshold = criterion.best(&images).expect("both classes");
        let interval = criterion.best_interval(&images).expect("both classes");
        // Between -5.25 and -5; the last of the others is at -4.25.
        assert!((threshold - probability(-5.125)).abs() < 1e-12, "{threshold}");
        assert!(
            interval.low <= threshold && threshold <= interval.high,
            "{interval:?}"
        );
        let found = Threshold {
            label: 1,
            probability: threshold,
        };
        assert_eq!([-5.2_f32, -5.0].map(|odds| found.predicted(&[0.0, odds])), [0, 1]);
        let turned = Threshold { label: 0, ..found };
        assert_eq!(
            [-5.2_f32, -5.0].map(|odds| turned.predicted(&[odds, 0.0])),
            [1, 0]
        );
    }

    proptest! {
        /// No cut between two images, below all or above all is better; few distinct scores, so that there are many ties.
        #[test]
        fn the_threshold_is_as_good_as_the_best_of_all(images in prop::collection::vec((-6_i8..6, any::<bool>()), 2..40)) {
            let images: Vec<ScoredImage> = images.iter().map(|&(score, positive)| (f64::from(score), positive)).collect();
            for criterion in CRITERIA {
                let count = |keep: &dyn Fn(&ScoredImage) -> bool| images.iter().filter(|image| keep(image)).count() as u64;
                let of = [count(&|image| image.1), count(&|image| !image.1)];
                let value = |cut: f64| {
                    let hits = count(&|image| image.1 && image.0 >= cut);
                    criterion.value(of, [hits, count(&|image| !image.1 && image.0 >= cut)])
                };
                let best = (-7..8).filter_map(|cut| value(f64::from(cut) - 0.5)).max_by(f64::total_cmp);
                let mut sorted = images.clone();
                sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
                let found = criterion.best_cut(&sorted, &vec![1; sorted.len()]);
                prop_assert_eq!(found.and_then(value), best, "{}", criterion);
            }
        }

        #[test]
        fn an_image_that_counts_twice_is_as_two_images(images in prop::collection::vec((-6_i8..6, any::<bool>(), 0_u32..4), 2..30)) {
            let mut images = images;
            images.sort_unstable_by_key(|image| image.0);
            let sorted: Vec<ScoredImage> = images.iter().map(|image| (f64::from(image.0), image.1)).collect();
            let draws: Vec<u32> = images.iter().map(|image| image.2).collect();
            let repeated: Vec<ScoredImage> = sorted.iter().zip(&draws).flat_map(|(image, &draws)| vec![*image; draws as usize]).collect();
            for criterion in CRITERIA {
                prop_assert_eq!(criterion.best_cut(&sorted, &draws), criterion.best_cut(&repeated, &vec![1; repeated.len()]));
            }
        }
    }
}

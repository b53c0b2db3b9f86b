//! Comparison of several ways of training, each repeated with several seeds and evaluated on the same images.
//!
//! # Layout
//!
//! - [`Arm`]: a way of training; [`Comparison`]: the results of all.
//! - [`Holdout`]: predictions for images that no training has used.
//! - [`MeanStd`]: a metric over repeats; [`McNemar`]: a paired test of two models.
//! - [`Tuning`]: the choice of an arm, by its [`BalancedLoss`].
//! - [`table`], [`page`]: output as text and HTML.

mod arm;
mod balanced_loss;
mod holdout;
mod mcnemar;
mod mean_std;
pub mod page;
pub mod table;
mod tuning;

use std::path::PathBuf;

use serde::Serialize;

pub use arm::{Arm, OwnArm, ParseArmError, file_name};
pub use balanced_loss::BalancedLoss;
pub use holdout::{ArmPredictions, Holdout, HoldoutImage, TopPrediction};
pub use mcnemar::McNemar;
pub use mean_std::MeanStd;
pub use tuning::{Candidate, Ranking, Tuning, score};

use super::{
    metrics::{Criterion, Interval, MIN_FOR_PERCENT, MetricAccumulator, Metrics, RarestClasses},
    predictions::Predictions,
};

/// One training of an arm, and its model's predictions; with cross-validation, one training per fold.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// Training seed.
    pub seed: u64,
    /// Folder of the run, or of the first fold's.
    pub run: PathBuf,
    /// Predictions of its model; with cross-validation, those of each fold's model for the images of that fold.
    pub predictions: Predictions,
}

/// All trainings of one arm.
#[derive(Clone, Debug)]
pub struct TrainedArm {
    /// The arm.
    pub arm: Arm,
    /// One per seed; every arm has the same seeds in the same order.
    pub repeats: Vec<Repeat>,
}

/// Results of all arms.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The class with the fewest training images, or several with equally few.
    pub rarest: String,
    /// Number of evaluated images of these classes.
    pub rarest_images: u64,
    /// Number of evaluated images.
    pub images: u64,
    /// Number of folds of the cross-validation; 1: evaluated on a split.
    pub folds: u32,
    /// Classes with too few evaluated images to tell arms apart, and the number of their images.
    pub too_few: Vec<(String, u64)>,
    /// In the order given.
    pub arms: Vec<ArmResult>,
    /// Tests of the first arm against each other arm.
    pub tests: Vec<ArmTest>,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Held-out images, if the dataset has a test split and another split was evaluated.
    #[serde(rename = "fresh")]
    pub holdout: Option<Holdout>,
}

/// Results of one arm.
#[derive(Clone, Debug, Serialize)]
pub struct ArmResult {
    /// Its name.
    pub name: String,
    /// Its flags, as [`Arm::described`].
    pub flags: String,
    /// Seeds of its repeats.
    pub seeds: Vec<u64>,
    /// Folders of its repeats.
    pub runs: Vec<PathBuf>,
    /// Recall of the rarest classes, pooled.
    pub rarest_recall: MeanStd,
    /// 95 % interval of that over the images; absent with several repeats, which share them.
    pub rarest_recall_interval: Option<Interval>,
    /// Mean recall of all classes.
    pub balanced_accuracy: MeanStd,
    /// As `rarest_recall_interval`.
    pub balanced_accuracy_interval: Option<Interval>,
    /// Share of misclassified images.
    pub error_rate: MeanStd,
    /// Of two classes, the probability of the rarer one from which it must be predicted for the largest balanced accuracy on these images;
    /// otherwise without values.
    pub threshold: MeanStd,
    /// Metrics over the images of all repeats; the confusion matrix is the sum of those of the repeats.
    pub all_repeats: Metrics,
    /// Metrics of each repeat.
    #[serde(rename = "figures")]
    pub metrics: Vec<Metrics>,
}

/// McNemar's tests of the first arm against another.
#[derive(Clone, Debug, Serialize)]
pub struct ArmTest {
    /// The first arm.
    pub first: String,
    /// The other one.
    pub second: String,
    /// Balanced accuracy of the second arm less that of the first, per seed.
    pub gain: MeanStd,
    /// Per seed, on all images.
    pub repeats: Vec<McNemar>,
    /// Ensembles of all repeats, by mean probability, on all images. Repeats share their images, so their p-values cannot be combined; this
    /// is one test.
    #[serde(rename = "together")]
    pub ensemble: McNemar,
    /// The same on the images of the rarest classes.
    #[serde(rename = "together_on_rarest")]
    pub ensemble_on_rarest: McNemar,
}

/// Two runs were evaluated on different images.
#[derive(Debug, thiserror::Error)]
#[error("{} and {} were evaluated on different images", first.display(), second.display())]
pub struct Unpaired {
    /// A run.
    pub first: PathBuf,
    /// Another one.
    pub second: PathBuf,
}

impl Comparison {
    /// Compares arms that were trained with the same seeds. `classes` are names in label order, `rarest` the classes with the fewest
    /// training images.
    ///
    /// # Errors
    ///
    /// [`Unpaired`] if two repeats were evaluated on different images.
    pub fn new(arms: &[TrainedArm], classes: &[String], rarest: &RarestClasses) -> Result<Self, Unpaired> {
        let mut runs = arms.iter().flat_map(|arm| &arm.repeats);
        let first = runs.clone().next();
        let images = |repeat: &&Repeat| {
            (
                repeat.predictions.samples.clone(),
                repeat.predictions.labels.clone(),
            )
        };
        let expected = first.as_ref().map(images);
        if let (Some(first), Some(second)) = (first, runs.find(|repeat| Some(images(repeat)) != expected)) {
            let (first, second) = (first.run.clone(), second.run.clone());
            return Err(Unpaired { first, second });
        }
        let labels = expected.map_or_else(Vec::new, |(_, labels)| labels);
        let is_rarest = |label: &&u32| rarest.labels.contains(&(**label as usize));
        let rarest_images = labels.iter().filter(is_rarest).count();
        let of_class = |class: usize| labels.iter().filter(|label| **label as usize == class).count() as u64;
        let counts = classes
            .iter()
            .enumerate()
            .map(|(class, name)| (name.clone(), of_class(class)));
        let tests = match arms {
            [] => vec![],
            [first, others @ ..] => others
                .iter()
                .map(|other| ArmTest::new((first, other), classes, rarest))
                .collect(),
        };
        Ok(Self {
            rarest: rarest.names.clone(),
            rarest_images: rarest_images as u64,
            images: labels.len() as u64,
            folds: 1,
            too_few: counts.filter(|(_, images)| *images < MIN_FOR_PERCENT).collect(),
            arms: arms
                .iter()
                .map(|arm| ArmResult::new(arm, classes, rarest))
                .collect(),
            tests,
            classes: classes.to_vec(),
            holdout: None,
        })
    }
}

impl ArmResult {
    fn new(trained: &TrainedArm, classes: &[String], rarest: &RarestClasses) -> Self {
        let mut all = MetricAccumulator::new(classes.len());
        trained
            .repeats
            .iter()
            .for_each(|repeat| repeat.predictions.add_to(&mut all));
        let metrics: Vec<Metrics> = trained
            .repeats
            .iter()
            .map(|repeat| repeat.predictions.metrics(classes))
            .collect();
        let mean_std = |of: &dyn Fn(&Metrics) -> Option<f64>| MeanStd::of(metrics.iter().map(of));
        let single = match &*metrics {
            [metrics] => Some(metrics),
            _ => None,
        };
        Self {
            name: trained.arm.name.clone(),
            flags: trained.arm.described(),
            seeds: trained.repeats.iter().map(|repeat| repeat.seed).collect(),
            runs: trained.repeats.iter().map(|repeat| repeat.run.clone()).collect(),
            rarest_recall: mean_std(&|metrics| rarest.recall(metrics).value()),
            rarest_recall_interval: single.and_then(|metrics| rarest.recall(metrics).interval()),
            balanced_accuracy: mean_std(&|metrics| metrics.balanced_accuracy),
            balanced_accuracy_interval: single.and_then(Metrics::balanced_accuracy_interval),
            error_rate: mean_std(&|metrics| metrics.error_rate),
            threshold: MeanStd::of(trained.repeats.iter().map(|repeat| {
                let label = *rarest.labels.first().filter(|_| classes.len() == 2)?;
                Criterion::BalancedAccuracy.best(&repeat.predictions.log_odds(label))
            })),
            all_repeats: all.metrics(classes),
            metrics,
        }
    }
}

impl ArmTest {
    fn new((first, second): (&TrainedArm, &TrainedArm), classes: &[String], rarest: &RarestClasses) -> Self {
        let balanced = |repeat: &Repeat| repeat.predictions.metrics(classes).balanced_accuracy;
        let gain = first.repeats.iter().zip(&second.repeats);
        let gain = gain.map(|(one, other)| Some(balanced(other)? - balanced(one)?));
        let labels = |trained: &TrainedArm| {
            trained
                .repeats
                .first()
                .map(|repeat| repeat.predictions.labels.clone())
        };
        let labels = labels(first).unwrap_or_default();
        let right = |predicted: (Vec<u32>, Vec<u32>)| {
            let pairs = predicted
                .0
                .into_iter()
                .zip(predicted.1)
                .zip(labels.iter().copied());
            pairs
                .map(|((one, other), label)| (label, (one == label, other == label)))
                .collect::<Vec<_>>()
        };
        let pairs = first.repeats.iter().zip(&second.repeats);
        let repeats = pairs.map(|(one, other)| {
            let images = right((one.predictions.predicted(), other.predictions.predicted()));
            McNemar::of(images.into_iter().map(|(_, pair)| pair))
        });
        let vote = |trained: &TrainedArm| {
            let all: Vec<&Predictions> = trained.repeats.iter().map(|repeat| &repeat.predictions).collect();
            Predictions::ensemble(&all)
        };
        let ensemble = right((vote(first), vote(second)));
        let of_rarest = ensemble
            .iter()
            .filter(|(label, _)| rarest.labels.contains(&(*label as usize)));
        Self {
            first: first.arm.name.clone(),
            second: second.arm.name.clone(),
            gain: MeanStd::of(gain),
            repeats: repeats.collect(),
            ensemble_on_rarest: McNemar::of(of_rarest.map(|(_, pair)| *pair)),
            ensemble: McNemar::of(ensemble.iter().map(|(_, pair)| *pair)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two birds and three flowers, with confident logits.
    fn repeat(seed: u64, predicted: [u32; 5]) -> Repeat {
        let mut predictions = Predictions::default();
        for ((sample, label), predicted) in (0..).zip([0, 0, 1, 1, 1]).zip(predicted) {
            let logits = [[4.0, 0.0], [0.0, 4.0]][predicted as usize];
            predictions.push(sample, label, &logits);
        }
        Repeat {
            seed,
            run: format!("run-{seed}").into(),
            predictions,
        }
    }

    fn arms() -> [TrainedArm; 2] {
        let natural = vec![repeat(1, [1, 1, 1, 1, 1]), repeat(2, [0, 1, 1, 1, 1])];
        let balanced = vec![repeat(1, [0, 0, 1, 1, 0]), repeat(2, [0, 0, 1, 1, 1])];
        [("natural", natural), ("oversample", balanced)].map(|(arm, repeats)| TrainedArm {
            arm: Arm::named(arm, &[]).expect("an arm"),
            repeats,
        })
    }

    fn classes() -> [String; 2] {
        ["birds", "flowers"].map(str::to_owned)
    }

    fn birds() -> RarestClasses {
        RarestClasses::of([("birds", 8), ("flowers", 12)]).expect("images")
    }

    #[test]
    fn a_comparison_equals_hand_calculation() {
        let comparison = Comparison::new(&arms(), &classes(), &birds()).expect("the same images");
        assert_eq!((comparison.images, comparison.rarest_images), (5, 2));
        let [natural, balanced] = &*comparison.arms else {
            panic!("two arms")
        };
        assert_eq!(natural.rarest_recall.values, [Some(0.0), Some(0.5)]);
        assert_eq!(natural.rarest_recall.mean, Some(0.25));
        assert_eq!(balanced.error_rate.values, [Some(0.2), Some(0.0)]);
        assert_eq!(balanced.threshold.values, [Some(0.5), Some(0.5)]);
        assert_eq!(balanced.all_repeats.confusion_matrix, [[4, 0], [1, 5]]);
        let test = &comparison.tests[0];
        let counts = |test: &McNemar| (test.only_first, test.only_second);
        assert_eq!(
            test.repeats.iter().map(counts).collect::<Vec<_>>(),
            [(1, 2), (0, 1)]
        );
        // (1 + 2/3) / 2 - 1/2 and 1 - 3/4.
        assert_eq!(test.gain.values[1], Some(0.25));
        assert_eq!(
            comparison.too_few,
            [("birds".to_owned(), 2), ("flowers".to_owned(), 3)]
        );
        // As ensembles, the first arm ties on the first bird and predicts the first class; the second arm ties on the last flower.
        assert_eq!(counts(&test.ensemble), (1, 1));
        assert_eq!(counts(&test.ensemble_on_rarest), (0, 1));
    }

    /// Of a bird found of two, and three flowers of three.
    #[test]
    fn a_single_repeat_has_the_intervals_of_its_images() {
        let mut arms = arms();
        let several = Comparison::new(&arms, &classes(), &birds()).expect("the same images");
        assert_eq!(several.arms[0].rarest_recall_interval, None);
        for arm in &mut arms {
            arm.repeats.remove(0);
        }
        let single = Comparison::new(&arms, &classes(), &birds()).expect("the same images");
        let [recall, balanced] = {
            let arm = &single.arms[0];
            [arm.rarest_recall_interval, arm.balanced_accuracy_interval]
                .map(|interval| interval.expect("one repeat"))
        };
        assert_eq!(recall.percent(), "9.5–90.5 %");
        assert!(balanced.low < 0.75 && balanced.high > 0.75, "{balanced:?}");
        let rows = table::rows(&single);
        assert_eq!(
            rows[0][2..],
            [
                "recall of birds (2)",
                "95 % interval",
                "balanced accuracy",
                "95 % interval",
                "error rate"
            ]
        );
        assert_eq!(rows[1][2..5], ["1 of 2", "9.5–90.5 %", "75.0 %"]);
        assert_eq!(rows[1][5], balanced.percent());
        assert!(table::too_few(&single).expect("few").contains("birds (2)"));
    }

    #[test]
    fn arms_evaluated_on_different_images_are_refused() {
        let mut arms = arms();
        arms[1].repeats[1].predictions.samples[0] = 9;
        let message = Comparison::new(&arms, &classes(), &birds())
            .expect_err("unpaired")
            .to_string();
        assert_eq!(message, "run-1 and run-2 were evaluated on different images");
    }
}

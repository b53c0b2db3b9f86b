//! How good predictions are. Every figure is a pure function of counts or of one row of logits.

use serde::Serialize;

/// Counts of predictions: rows are actual classes, columns predicted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// All zero.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts one prediction.
    ///
    /// # Panics
    ///
    /// Where a class is not below the number of classes.
    pub fn record(&mut self, actual: usize, predicted: usize) {
        assert!(
            actual < self.classes && predicted < self.classes,
            "classes {actual} and {predicted} of {}",
            self.classes
        );
        self.counts[actual * self.classes + predicted] += 1;
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many images of class `actual` were taken for class `predicted`.
    #[must_use]
    pub fn count(&self, actual: usize, predicted: usize) -> u64 {
        self.counts[actual * self.classes + predicted]
    }

    /// The rows, one per actual class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.max(1))
    }

    /// Images of a class.
    #[must_use]
    pub fn actual(&self, class: usize) -> u64 {
        (0..self.classes)
            .map(|predicted| self.count(class, predicted))
            .sum()
    }

    /// Images taken for a class.
    #[must_use]
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|actual| self.count(actual, class)).sum()
    }

    /// All images.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Share of images that were taken for what they are. `None` without images.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        ratio(
            (0..self.classes).map(|class| self.count(class, class)).sum(),
            self.total(),
        )
    }

    /// One minus the accuracy.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        ratio(
            self.total()
                - (0..self.classes)
                    .map(|class| self.count(class, class))
                    .sum::<u64>(),
            self.total(),
        )
    }

    /// Share of the images taken for a class that are of it. `None` where none was taken for it.
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.predicted(class))
    }

    /// Share of the images of a class that were taken for it. `None` where it has no images.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.actual(class))
    }

    /// Harmonic mean of precision and recall, `2 hits / (actual + predicted)`. `None` where both are undefined.
    #[must_use]
    pub fn f1(&self, class: usize) -> Option<f64> {
        ratio(
            2 * self.count(class, class),
            self.actual(class) + self.predicted(class),
        )
    }

    /// Mean recall of the classes that have images.
    #[must_use]
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let recalls: Vec<f64> = (0..self.classes).filter_map(|class| self.recall(class)).collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// The class with the fewest images, of those that have any; the first of several.
    #[must_use]
    pub fn rarest(&self) -> Option<usize> {
        (0..self.classes)
            .filter(|&class| self.actual(class) > 0)
            .min_by_key(|&class| self.actual(class))
    }
}

/// The figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Its name.
    pub name: String,
    /// Its images.
    pub images: u64,
    /// See [`ConfusionMatrix::precision`].
    pub precision: Option<f64>,
    /// See [`ConfusionMatrix::recall`].
    pub recall: Option<f64>,
    /// See [`ConfusionMatrix::f1`].
    pub f1: Option<f64>,
}

/// The figures of a whole split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Images judged.
    pub images: u64,
    /// Mean cross entropy, in nats.
    pub loss: f64,
    /// Share of right predictions.
    pub accuracy: Option<f64>,
    /// Share of wrong predictions.
    pub error_rate: Option<f64>,
    /// Mean recall.
    pub balanced_accuracy: Option<f64>,
    /// In label order.
    pub classes: Vec<ClassFigures>,
    /// Rows actual, columns predicted.
    pub confusion_matrix: Vec<Vec<u64>>,
}

impl Figures {
    /// Gathers the figures of `matrix`.
    #[must_use]
    pub fn new(matrix: &ConfusionMatrix, loss: f64, names: &[String]) -> Self {
        let class = |(class, name): (usize, &String)| ClassFigures {
            name: name.clone(),
            images: matrix.actual(class),
            precision: matrix.precision(class),
            recall: matrix.recall(class),
            f1: matrix.f1(class),
        };
        Self {
            images: matrix.total(),
            loss,
            accuracy: matrix.accuracy(),
            error_rate: matrix.error_rate(),
            balanced_accuracy: matrix.balanced_accuracy(),
            classes: names.iter().enumerate().map(class).collect(),
            confusion_matrix: matrix.rows().map(<[u64]>::to_vec).collect(),
        }
    }
}

/// Cross entropy of one row of logits, in nats, computed in double precision: `ln(sum exp(l)) - l[label]`.
///
/// # Panics
///
/// Where `label` is not an index into `logits`.
#[must_use]
pub fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = largest(logits);
    let sum: f64 = logits
        .iter()
        .map(|&logit| (f64::from(logit) - largest).exp())
        .sum();
    largest + sum.ln() - f64::from(logits[label])
}

/// Probabilities of one row of logits. They add up to 1.
#[must_use]
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = largest(logits);
    let exponentials: Vec<f64> = logits
        .iter()
        .map(|&logit| (f64::from(logit) - largest).exp())
        .collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

/// Index of the largest logit; the first of several.
///
/// # Panics
///
/// Where `logits` is empty.
#[must_use]
pub fn argmax(logits: &[f32]) -> usize {
    assert!(!logits.is_empty(), "a row of logits has a value for every class");
    (1..logits.len()).fold(
        0,
        |best, index| if logits[index] > logits[best] { index } else { best },
    )
}

fn largest(logits: &[f32]) -> f64 {
    logits
        .iter()
        .copied()
        .map(f64::from)
        .fold(f64::NEG_INFINITY, f64::max)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The training loss that is shown: a debiased exponential average over the whole run,
/// `m <- 0.98 m + 0.02 loss`, shown `m / (1 - 0.98^n)`.
///
/// # Source
///
/// `SmoothenValue` of fastai 1.0, `fastai/callback.py`, with the default `beta` of its `Recorder`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
pub struct SmoothedLoss {
    average: f64,
    count: u64,
}

impl SmoothedLoss {
    const BETA: f64 = 0.98;

    /// Takes in the loss of one batch.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two classes: 40 flowers of which 39 are recognised, 4 birds of which 1 is.
    fn flowers_and_birds() -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(2);
        for (actual, predicted, times) in [(0, 0, 1), (0, 1, 3), (1, 0, 1), (1, 1, 39)] {
            (0..times).for_each(|_| matrix.record(actual, predicted));
        }
        matrix
    }

    #[test]
    fn figures_of_a_matrix_are_what_hand_calculation_gives() {
        let matrix = flowers_and_birds();
        assert_eq!(matrix.total(), 44);
        assert_eq!(matrix.accuracy(), Some(40.0 / 44.0));
        assert_eq!(matrix.error_rate(), Some(4.0 / 44.0));
        assert_eq!((matrix.precision(0), matrix.recall(0)), (Some(0.5), Some(0.25)));
        assert_eq!(
            (matrix.precision(1), matrix.recall(1)),
            (Some(39.0 / 42.0), Some(39.0 / 40.0))
        );
        assert_eq!(matrix.f1(0), Some(1.0 / 3.0));
        assert_eq!(matrix.balanced_accuracy(), Some((0.25 + 0.975) / 2.0));
        assert_eq!(matrix.rarest(), Some(0));
    }

    #[test]
    fn rows_are_actual_and_columns_predicted() {
        let matrix = flowers_and_birds();
        assert_eq!(matrix.rows().collect::<Vec<_>>(), [[1, 3], [1, 39]]);
        assert_eq!(matrix.count(0, 1), 3, "three birds were taken for flowers");
    }

    #[test]
    fn what_is_undefined_is_none_and_not_a_number() {
        let empty = ConfusionMatrix::new(3);
        assert_eq!(
            (
                empty.accuracy(),
                empty.error_rate(),
                empty.balanced_accuracy(),
                empty.rarest()
            ),
            (None, None, None, None)
        );
        let mut one_sided = ConfusionMatrix::new(3);
        one_sided.record(0, 1);
        assert_eq!(
            (one_sided.precision(0), one_sided.recall(0), one_sided.f1(0)),
            (None, Some(0.0), Some(0.0))
        );
        assert_eq!(
            (one_sided.precision(2), one_sided.recall(2), one_sided.f1(2)),
            (None, None, None)
        );
        assert_eq!(
            one_sided.balanced_accuracy(),
            Some(0.0),
            "only the class that has images counts"
        );
    }

    #[test]
    fn cross_entropy_of_equal_logits_is_the_logarithm_of_their_number() {
        assert!((cross_entropy(&[3.0, 3.0, 3.0], 1) - 3.0_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(cross_entropy(&[1e30, 0.0], 0), 0.0);
        assert_eq!(softmax(&[-1e30, 1e30]), [0.0, 1.0]);
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[1.0, 2.0, 2.0]), 1);
        assert_eq!(argmax(&[5.0]), 0);
    }

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
    }

    proptest! {
        #[test]
        fn probabilities_add_up_to_one_and_agree_with_cross_entropy(logits in prop::collection::vec(-50.0_f32..50.0, 1..20)) {
            let probabilities = softmax(&logits);
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let best = argmax(&logits);
            prop_assert!((cross_entropy(&logits, best) + probabilities[best].ln()).abs() < 1e-9);
        }

        #[test]
        fn accuracy_and_error_rate_are_complements(cells in prop::collection::vec(0_u64..50, 9)) {
            let matrix = ConfusionMatrix { classes: 3, counts: cells };
            if let (Some(accuracy), Some(error)) = (matrix.accuracy(), matrix.error_rate()) {
                prop_assert!((accuracy + error - 1.0).abs() < 1e-12);
            } else {
                prop_assert_eq!(matrix.total(), 0);
            }
        }
    }
}

//! The confusion matrix.

/// Counts of predictions; rows are actual classes, columns predicted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// A zero matrix.
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
    /// If a class is not below the number of classes.
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

    /// Number of images of class `actual` predicted as class `predicted`.
    #[must_use]
    pub fn count(&self, actual: usize, predicted: usize) -> u64 {
        self.counts[actual * self.classes + predicted]
    }

    /// The rows, one per actual class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.max(1))
    }

    /// Number of images of a class.
    #[must_use]
    pub fn actual(&self, class: usize) -> u64 {
        (0..self.classes)
            .map(|predicted| self.count(class, predicted))
            .sum()
    }

    /// Number of images predicted as a class.
    #[must_use]
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|actual| self.count(actual, class)).sum()
    }

    /// Number of all images.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Share of correctly classified images. `None` without images.
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

    /// Share of correct predictions of a class. `None` if it was never predicted.
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.predicted(class))
    }

    /// Share of correctly classified images of a class. `None` if it has no images.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.actual(class))
    }

    /// Harmonic mean of precision and recall, `2 hits / (actual + predicted)`. `None` if both are undefined.
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
        mean((0..self.classes).filter_map(|class| self.recall(class)))
    }

    /// Smallest recall of the classes that have images.
    #[must_use]
    pub fn worst_recall(&self) -> Option<f64> {
        (0..self.classes)
            .filter_map(|class| self.recall(class))
            .min_by(f64::total_cmp)
    }

    /// Matthews correlation coefficient of any number of classes, from -1 to 1; 0 if all images are of one class or predicted as one. `None`
    /// without images.
    ///
    /// # Source
    ///
    /// Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004; scikit-learn's `matthews_corrcoef`.
    #[must_use]
    pub fn matthews(&self) -> Option<f64> {
        let of_classes = |product: fn(&Self, usize) -> u64| {
            (0..self.classes).map(|class| product(self, class)).sum::<u64>()
        };
        let total = self.total();
        let hits = of_classes(|matrix, class| matrix.count(class, class));
        let square = (total * total) as f64;
        let both = of_classes(|matrix, class| matrix.actual(class) * matrix.predicted(class)) as f64;
        let actual = square - of_classes(|matrix, class| matrix.actual(class).pow(2)) as f64;
        let predicted = square - of_classes(|matrix, class| matrix.predicted(class).pow(2)) as f64;
        let covariance = (hits * total) as f64 - both;
        let scale = (actual * predicted).sqrt();
        (total > 0).then(|| if scale == 0.0 { 0.0 } else { covariance / scale })
    }

    /// Mean F1 of the classes that have images or are predicted.
    #[must_use]
    pub fn macro_f1(&self) -> Option<f64> {
        mean((0..self.classes).filter_map(|class| self.f1(class)))
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two classes: 40 flowers, 39 of them correctly classified, and 4 birds, 1 of them.
    fn flowers_and_birds() -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(2);
        for (actual, predicted, times) in [(0, 0, 1), (0, 1, 3), (1, 0, 1), (1, 1, 39)] {
            (0..times).for_each(|_| matrix.record(actual, predicted));
        }
        matrix
    }

    #[test]
    fn metrics_of_a_matrix_equal_hand_calculation() {
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
        assert_eq!(matrix.macro_f1(), Some((1.0 / 3.0 + 78.0 / 82.0) / 2.0));
    }

    #[test]
    fn rows_are_actual_and_columns_predicted() {
        let matrix = flowers_and_birds();
        assert_eq!(matrix.rows().collect::<Vec<_>>(), [[1, 3], [1, 39]]);
        assert_eq!(matrix.count(0, 1), 3, "three birds were predicted as flowers");
    }

    #[test]
    fn undefined_metrics_are_none() {
        let empty = ConfusionMatrix::new(3);
        assert_eq!(
            (empty.accuracy(), empty.error_rate(), empty.balanced_accuracy()),
            (None, None, None)
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

    proptest! {

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

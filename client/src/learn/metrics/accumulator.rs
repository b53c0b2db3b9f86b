use super::{
    ConfusionMatrix, Metrics, Threshold, argmax, auroc, calibration::Calibration, cross_entropy, rank,
    summary::TOP,
};

/// Accumulates predictions, from which all metrics of a split are computed.
///
/// Memory: 16 bytes per image for two classes, otherwise independent of the number of images.
#[derive(Clone, Debug)]
pub struct MetricAccumulator {
    matrix: ConfusionMatrix,
    loss: f64,
    calibration: Calibration,
    /// Number of images by the rank of their class.
    rank_counts: Vec<u64>,
    /// For two classes: the logit margin of the second, and whether the image is of it.
    margins: Vec<(f64, bool)>,
    threshold: Option<Threshold>,
}

impl MetricAccumulator {
    /// An empty accumulator.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            matrix: ConfusionMatrix::new(classes),
            loss: 0.0,
            calibration: Calibration::default(),
            rank_counts: vec![0; classes],
            margins: vec![],
            threshold: None,
        }
    }

    /// Predicts by a threshold instead of the largest logit. Calibration, loss, AUROC and top-k accuracy do not depend on it.
    #[must_use]
    pub fn with_threshold(self, threshold: Option<Threshold>) -> Self {
        Self { threshold, ..self }
    }

    /// Adds one image by its logits, or its log probabilities.
    ///
    /// # Panics
    ///
    /// If `logits` does not have a value for every class, or `label` is not below the number of classes.
    pub fn record(&mut self, logits: &[f32], label: usize) {
        assert_eq!(
            logits.len(),
            self.rank_counts.len(),
            "a row of logits has a value for every class"
        );
        let predicted = self
            .threshold
            .map_or_else(|| argmax(logits), |threshold| threshold.predicted(logits));
        self.matrix.record(label, predicted);
        self.loss += cross_entropy(logits, label);
        self.calibration.record(logits, label);
        self.rank_counts[rank(logits, label)] += 1;
        if let [first, second] = *logits {
            self.margins
                .push((f64::from(second) - f64::from(first), label == 1));
        }
    }

    /// All metrics; `names` are the class names in label order.
    #[must_use]
    pub fn metrics(&self, names: &[String]) -> Metrics {
        let total = self.matrix.total().max(1) as f64;
        let rank_counts = self.rank_counts.iter().take(TOP);
        let cumulated = rank_counts.scan(0, |sum, &images| {
            *sum += images;
            Some(*sum as f64 / total)
        });
        let top_k = if self.matrix.total() > 0 {
            cumulated.collect()
        } else {
            vec![]
        };
        Metrics {
            top_k,
            auroc: auroc(&self.margins),
            calibration_error: self.calibration.error(),
            reliability: self.calibration.bins(),
            ..Metrics::new(&self.matrix, self.loss / total, names)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn top_k_accuracy_grows_to_one() {
        let mut accumulator = MetricAccumulator::new(3);
        for (logits, label) in [
            ([3.0, 2.0, 1.0], 0),
            ([3.0, 2.0, 1.0], 1),
            ([3.0, 2.0, 1.0], 2),
            ([0.0, 0.0, 0.0], 1),
        ] {
            accumulator.record(&logits, label);
        }
        let metrics = accumulator.metrics(&names(3));
        assert_eq!(metrics.top_k, [0.25, 0.75, 1.0]);
        assert_eq!(metrics.accuracy, Some(0.25));
        assert_eq!(metrics.auroc, None, "only for two classes");
    }

    #[test]
    fn top_k_accuracy_ends_at_ten() {
        let mut accumulator = MetricAccumulator::new(30);
        accumulator.record(&[0.0; 30], 9);
        accumulator.record(&[0.0; 30], 10);
        let metrics = accumulator.metrics(&names(30));
        assert_eq!(metrics.top_k.len(), 10);
        assert_eq!(metrics.top_k[8..], [0.0, 0.5]);
    }

    #[test]
    fn an_empty_accumulator_has_undefined_metrics() {
        let metrics = MetricAccumulator::new(2).metrics(&names(2));
        assert_eq!((metrics.images, metrics.accuracy, metrics.auroc), (0, None, None));
        assert!(metrics.top_k.is_empty());
    }
}

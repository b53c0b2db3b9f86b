use super::Metrics;

/// Images of one class that were predicted as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusedPair {
    /// Label of the actual class.
    pub actual: usize,
    /// Label of the predicted class.
    pub predicted: usize,
    /// Number of images.
    pub images: u64,
}

/// All confused pairs of classes, in descending order of images; ties in row-major order of the matrix.
///
/// # Source
///
/// `ClassificationInterpretation.most_confused` of fastai 1.0 with `min_val=1`.
#[must_use]
pub fn most_confused(metrics: &Metrics) -> Vec<ConfusedPair> {
    let mut pairs: Vec<ConfusedPair> = vec![];
    for (actual, counts) in metrics.confusion_matrix.iter().enumerate() {
        for (predicted, &images) in counts.iter().enumerate() {
            if actual != predicted && images > 0 {
                pairs.push(ConfusedPair {
                    actual,
                    predicted,
                    images,
                });
            }
        }
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.images));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::MetricAccumulator;

    #[test]
    fn pairs_are_sorted_by_images_and_then_as_in_the_matrix() {
        let mut accumulator = MetricAccumulator::new(3);
        for (actual, predicted, times) in [(0, 0, 1), (0, 1, 3), (1, 1, 40), (2, 0, 2), (2, 1, 3), (2, 2, 5)]
        {
            let logits: [f32; 3] = std::array::from_fn(|class| f32::from(u8::from(class == predicted)));
            (0..times).for_each(|_| accumulator.record(&logits, actual));
        }
        let metrics = accumulator.metrics(&["birds", "flowers", "cats"].map(str::to_owned));
        let pairs: Vec<_> = most_confused(&metrics)
            .iter()
            .map(|pair| (pair.actual, pair.predicted, pair.images))
            .collect();
        assert_eq!(pairs, [(0, 1, 3), (2, 1, 3), (2, 0, 2)]);
    }
}

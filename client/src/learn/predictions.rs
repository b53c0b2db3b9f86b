//! Logits of a model for every image of a split, saved for comparisons.

use std::{cmp::Ordering, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::metrics::{
    MetricAccumulator, Metrics, PrecisionRecall, ScoredImage, Threshold, argmax, average_precision, log_odds,
    partition, softmax,
};

/// Most precision-recall curves of a page: those of the classes with the smallest average precision.
pub(super) const CURVES: usize = 6;

/// Logits of a model for every image of a split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Index of each image into the dataset's samples.
    pub samples: Vec<u32>,
    /// Label of each image.
    pub labels: Vec<u32>,
    /// `[N, K]`, flat.
    pub logits: Vec<f32>,
}

/// A predictions file is invalid.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {reason}; delete it to evaluate the model again", path.display())]
pub struct Error {
    /// The file.
    path: std::path::PathBuf,
    /// Why not.
    reason: String,
}

impl Predictions {
    /// Adds the logits of one image.
    pub fn push(&mut self, sample: u32, label: u32, logits: &[f32]) {
        self.samples.push(sample);
        self.labels.push(label);
        self.logits.extend_from_slice(logits);
    }

    /// Adds `offsets`, one per class, to all logits.
    pub fn add_offsets(&mut self, offsets: &[f32]) {
        for row in self.logits.chunks_mut(offsets.len().max(1)) {
            row.iter_mut()
                .zip(offsets)
                .for_each(|(logit, offset)| *logit += offset);
        }
    }

    /// Appends the predictions of other images.
    pub fn extend(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.labels.extend(other.labels);
        self.logits.extend(other.logits);
    }

    /// Rows of logits, in the order of the samples.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + Clone {
        let classes = (self.logits.len() / self.labels.len().max(1)).max(1);
        self.logits.chunks(classes)
    }

    /// The predicted label of each image.
    #[must_use]
    pub fn predicted(&self) -> Vec<u32> {
        self.rows().map(|row| argmax(row) as u32).collect()
    }

    /// Records all predictions in `accumulator`.
    pub fn add_to(&self, accumulator: &mut MetricAccumulator) {
        let rows = self.rows().zip(&self.labels);
        rows.for_each(|(row, &label)| accumulator.record(row, label as usize));
    }

    /// Metrics of these predictions; `names` are the class names in label order.
    #[must_use]
    pub fn metrics(&self, names: &[String]) -> Metrics {
        self.metrics_at(names, None)
    }

    /// Metrics of these predictions at a threshold, if one is given.
    #[must_use]
    pub fn metrics_at(&self, names: &[String], threshold: Option<Threshold>) -> Metrics {
        let mut accumulator = MetricAccumulator::new(names.len()).with_threshold(threshold);
        self.add_to(&mut accumulator);
        let mut metrics = accumulator.metrics(names);
        let scores = self.scores();
        let known = metrics
            .classes
            .iter_mut()
            .enumerate()
            .filter_map(|(label, class)| {
                class.average_precision = average_precision(&scores(label));
                class.average_precision
            });
        let known: Vec<f64> = known.collect();
        metrics.mean_average_precision =
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        metrics
    }

    /// Gives the probability of a class, by its label, for each image, and whether the image is of it.
    fn scores(&self) -> impl Fn(usize) -> Vec<(f64, bool)> {
        let partitions: Vec<(f64, f64)> = self.rows().map(partition).collect();
        move |label| {
            let rows = self.rows().zip(&self.labels).zip(&partitions);
            let score = |((row, &of), (largest, sum)): ((&[f32], &u32), &(f64, f64))| {
                let probability = (f64::from(row[label]) - largest).exp() / sum;
                (probability, of as usize == label)
            };
            rows.map(score).collect()
        }
    }

    /// The log-odds of class `label` of two for each image, and whether the image is of it.
    #[must_use]
    pub fn log_odds(&self, label: usize) -> Vec<ScoredImage> {
        let rows = self.rows().zip(&self.labels);
        rows.map(|(row, &of)| (log_odds(row, label), of as usize == label))
            .collect()
    }

    /// The precision-recall curves of the `most` classes with the smallest average precision, in label order. Classes without images have none.
    #[must_use]
    pub fn curves(&self, metrics: &Metrics, most: usize) -> Vec<PrecisionRecall> {
        let precision = |label: &usize| metrics.classes[*label].average_precision;
        let known = (0..metrics.classes.len()).filter(|label| precision(label).is_some());
        let mut shown: Vec<usize> = known.collect();
        shown.sort_by(|left, right| {
            precision(left)
                .partial_cmp(&precision(right))
                .unwrap_or(Ordering::Equal)
        });
        shown.truncate(most);
        shown.sort_unstable();
        let scores = self.scores();
        let curve = |label: usize| PrecisionRecall::of(&metrics.classes[label].name, &scores(label));
        shown.into_iter().filter_map(curve).collect()
    }

    /// The same, with all logits divided by `temperature`.
    #[must_use]
    pub fn at_temperature(mut self, temperature: f64) -> Self {
        let scale = (1.0 / temperature) as f32;
        self.logits.iter_mut().for_each(|logit| *logit *= scale);
        self
    }

    /// Predicted labels of an ensemble: the class with the highest mean probability. All models must have been evaluated on the same images
    /// in the same order.
    #[must_use]
    pub fn ensemble(all: &[&Self]) -> Vec<u32> {
        let Some(first) = all.first() else { return vec![] };
        let mut rows: Vec<_> = all.iter().map(|predictions| predictions.rows()).collect();
        let vote = |_| {
            let mut sum: Vec<f64> = vec![];
            for row in rows.iter_mut().filter_map(Iterator::next) {
                let shares = softmax(row);
                sum.resize(shares.len(), 0.0);
                sum.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
            }
            let best =
                (1..sum.len()).fold(0, |best, class| if sum[class] > sum[best] { class } else { best });
            best as u32
        };
        (0..first.labels.len()).map(vote).collect()
    }

    /// Serialises as safetensors: `samples` and `labels` u32 `[N]`, `logits` f32 `[N, K]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let images = self.labels.len();
        let whole = |numbers: &[u32]| {
            numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let (samples, labels) = (whole(&self.samples), whole(&self.labels));
        let logits: Vec<u8> = self.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        let classes = self.logits.len().checked_div(images).unwrap_or(0);
        let view = |dtype, shape, data| {
            TensorView::new(dtype, shape, data).expect("the lengths are those of the shape")
        };
        let views = [
            ("samples", view(Dtype::U32, vec![images], &samples)),
            ("labels", view(Dtype::U32, vec![images], &labels)),
            ("logits", view(Dtype::F32, vec![images, classes], &logits)),
        ];
        safetensors::serialize(views, None).expect("names, shapes and lengths agree")
    }

    /// Parses the bytes of the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error`] if they are not safetensors, or a tensor is missing or of another type.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let refused = |reason: String| Error {
            path: path.to_path_buf(),
            reason,
        };
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|error| refused(format!("it is damaged ({error})")))?;
        let words = |name: &str, dtype: Dtype| {
            let view = tensors.tensor(name).ok().filter(|view| view.dtype() == dtype);
            let view = view.ok_or_else(|| refused(format!("it has no {name}")))?;
            let words = view.data().chunks_exact(4);
            Ok(words
                .map(|word| word.try_into().expect("four bytes"))
                .collect::<Vec<[u8; 4]>>())
        };
        let whole = |name: &str| {
            Ok(words(name, Dtype::U32)?
                .into_iter()
                .map(u32::from_le_bytes)
                .collect())
        };
        let logits = words("logits", Dtype::F32)?;
        Ok(Self {
            samples: whole("samples")?,
            labels: whole("labels")?,
            logits: logits.into_iter().map(f32::from_le_bytes).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(rows: &[[f32; 2]]) -> Predictions {
        let mut predictions = Predictions::default();
        (10..)
            .zip(rows)
            .for_each(|(sample, row)| predictions.push(sample, sample % 2, row));
        predictions
    }

    #[test]
    fn predictions_round_trip_through_bytes() {
        let predictions = predictions(&[[1.5, -0.5], [0.0, f32::MIN_POSITIVE]]);
        let path = Path::new("x");
        assert_eq!(
            Predictions::from_bytes(&predictions.to_bytes(), path).expect("readable"),
            predictions
        );
        let none = Predictions::default();
        assert_eq!(
            Predictions::from_bytes(&none.to_bytes(), path).expect("readable"),
            none
        );
        let message = Predictions::from_bytes(b"?", path)
            .expect_err("damaged")
            .to_string();
        assert!(message.contains("delete it"), "{message}");
    }

    #[test]
    fn offsets_are_added_to_each_row() {
        let mut predictions = predictions(&[[1.0, 0.0], [2.0, 3.0]]);
        predictions.add_offsets(&[-2.0, 0.5]);
        assert_eq!(predictions.logits, [-1.0, 0.5, 0.0, 3.5]);
        let other = predictions.clone();
        predictions.extend(other);
        assert_eq!(
            (predictions.samples, predictions.logits.len()),
            (vec![10, 11, 10, 11], 8)
        );
    }

    #[test]
    fn a_threshold_changes_what_is_predicted_and_nothing_else() {
        let names = ["birds", "flowers"].map(str::to_owned);
        let predictions = predictions(&[[0.0, 3.0], [0.0, 2.0], [0.0, 1.0], [0.0, 4.0]]);
        let threshold = Threshold {
            label: 0,
            probability: 0.2,
        };
        let [plain, moved] =
            [None, Some(threshold)].map(|threshold| predictions.metrics_at(&names, threshold));
        assert_eq!(plain.confusion_matrix, [[0, 2], [0, 2]]);
        assert_eq!(moved.confusion_matrix, [[1, 1], [0, 2]], "birds from 20 % on");
        assert_eq!((plain.loss, plain.auroc), (moved.loss, moved.auroc));
        assert_eq!(plain.calibration_error, moved.calibration_error);
    }

    #[test]
    fn the_curves_of_the_hardest_classes_are_kept_in_label_order() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let mut predictions = Predictions::default();
        for (label, logits) in [(0, [3.0, 0.0, 0.0]), (1, [0.0, 0.0, 1.0]), (2, [0.0, 1.0, 0.0])] {
            predictions.push(label, label, &logits);
        }
        let metrics = predictions.metrics(&names);
        assert_eq!(metrics.classes[0].average_precision, Some(1.0));
        let curves = predictions.curves(&metrics, 2);
        let shown: Vec<&str> = curves.iter().map(|curve| &*curve.class).collect();
        assert_eq!(shown, ["b", "c"]);
        let precisions = metrics.classes.iter().filter_map(|class| class.average_precision);
        assert_eq!(
            metrics.mean_average_precision,
            Some(precisions.sum::<f64>() / 3.0)
        );
    }

    #[test]
    fn an_ensemble_averages_probabilities() {
        // Two models slightly favour the second class, one is confident in the first.
        let [sure, left, right] =
            [[9.0, 0.0], [0.0, 0.2], [0.0, 0.3]].map(|row| predictions(&[row, [0.0, 1.0]]));
        assert_eq!(Predictions::ensemble(&[&sure, &left, &right]), [0, 1]);
        assert_eq!(Predictions::ensemble(&[&left, &right]), [1, 1]);
        assert_eq!(left.predicted(), [1, 1]);
    }
}

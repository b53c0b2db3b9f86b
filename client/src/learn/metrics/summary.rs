use serde::{Deserialize, Serialize};

use super::{ConfusionMatrix, Interval, MIN_FOR_PERCENT, Proportion, ReliabilityBin, mean_of_proportions};

/// Largest k of a top-k accuracy.
pub(super) const TOP: usize = 10;

/// Metrics of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Class name.
    pub name: String,
    /// Number of images.
    pub images: u64,
    /// See [`ConfusionMatrix::precision`].
    pub precision: Option<f64>,
    /// See [`ConfusionMatrix::recall`].
    pub recall: Option<f64>,
    /// See [`ConfusionMatrix::f1`].
    pub f1: Option<f64>,
    /// See [`average_precision`](super::average_precision()). Absent during training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
}

/// Metrics of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of images.
    pub images: u64,
    /// Mean cross entropy, in nats. Never weighted or smoothed, so that models trained with different losses can be compared.
    pub loss: f64,
    /// Share of correct predictions.
    pub accuracy: Option<f64>,
    /// Share of wrong predictions.
    pub error_rate: Option<f64>,
    /// Mean recall of all classes with images.
    pub balanced_accuracy: Option<f64>,
    /// Mean F1.
    pub macro_f1: Option<f64>,
    /// See [`auroc`](super::auroc()); for two classes only.
    pub auroc: Option<f64>,
    /// Smallest recall of all classes with images.
    #[serde(default)]
    pub worst_recall: Option<f64>,
    /// See [`ConfusionMatrix::matthews`].
    #[serde(default)]
    pub matthews: Option<f64>,
    /// Expected calibration error with 15 bins (Guo et al., 2017).
    #[serde(default)]
    pub calibration_error: Option<f64>,
    /// The bins of the calibration error that have images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliability: Vec<ReliabilityBin>,
    /// Mean of the classes' average precisions. Absent during training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_average_precision: Option<f64>,
    /// Top-k accuracy for k = 1, 2, ... up to 10 or the number of classes.
    pub top_k: Vec<f64>,
    /// In label order.
    pub classes: Vec<ClassMetrics>,
    /// Rows actual, columns predicted.
    pub confusion_matrix: Vec<Vec<u64>>,
}

impl Metrics {
    /// What follows from the confusion matrix.
    pub(super) fn new(matrix: &ConfusionMatrix, loss: f64, names: &[String]) -> Self {
        let class = |(class, name): (usize, &String)| ClassMetrics {
            name: name.clone(),
            images: matrix.actual(class),
            precision: matrix.precision(class),
            recall: matrix.recall(class),
            f1: matrix.f1(class),
            average_precision: None,
        };
        Self {
            images: matrix.total(),
            loss,
            accuracy: matrix.accuracy(),
            error_rate: matrix.error_rate(),
            balanced_accuracy: matrix.balanced_accuracy(),
            macro_f1: matrix.macro_f1(),
            auroc: None,
            worst_recall: matrix.worst_recall(),
            matthews: matrix.matthews(),
            calibration_error: None,
            reliability: vec![],
            mean_average_precision: None,
            top_k: vec![],
            classes: names.iter().enumerate().map(class).collect(),
            confusion_matrix: matrix.rows().map(<[u64]>::to_vec).collect(),
        }
    }

    /// Metrics of the class called `name`.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&ClassMetrics> {
        self.classes.get(self.label(name)?)
    }

    /// Label of the class called `name`.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.name == name)
    }

    fn count(&self, actual: usize, predicted: usize) -> u64 {
        let row = self.confusion_matrix.get(actual);
        row.and_then(|row| row.get(predicted)).copied().unwrap_or(0)
    }

    /// Correctly classified images among those of class `label`.
    #[must_use]
    pub fn recall(&self, label: usize) -> Proportion {
        let row = self.confusion_matrix.get(label);
        Proportion {
            hits: self.count(label, label),
            of: row.map_or(0, |row| row.iter().sum()),
        }
    }

    /// Correctly classified images among those predicted as class `label`.
    #[must_use]
    pub fn precision(&self, label: usize) -> Proportion {
        Proportion {
            hits: self.count(label, label),
            of: (0..self.confusion_matrix.len())
                .map(|actual| self.count(actual, label))
                .sum(),
        }
    }

    /// Correctly classified images among all.
    #[must_use]
    pub fn hits(&self) -> Proportion {
        let errors = self.errors();
        Proportion {
            hits: errors.of - errors.hits,
            of: errors.of,
        }
    }

    /// Misclassified images among all.
    #[must_use]
    pub fn errors(&self) -> Proportion {
        let hits: u64 = (0..self.confusion_matrix.len())
            .map(|label| self.count(label, label))
            .sum();
        Proportion {
            hits: self.images.saturating_sub(hits),
            of: self.images,
        }
    }

    /// The 95 % interval of the balanced accuracy. `None` without images.
    #[must_use]
    pub fn balanced_accuracy_interval(&self) -> Option<Interval> {
        mean_of_proportions((0..self.classes.len()).map(|label| self.recall(label)))
    }

    /// Classes with some evaluated images, but fewer than [`MIN_FOR_PERCENT`]: too few to compare models by their recall.
    pub fn small_classes(&self) -> impl Iterator<Item = (&ClassMetrics, Proportion)> {
        let classes = self.classes.iter().enumerate();
        let recalls = classes.map(|(label, class)| (class, self.recall(label)));
        recalls.filter(|(_, recall)| (1..MIN_FOR_PERCENT).contains(&recall.of))
    }
}

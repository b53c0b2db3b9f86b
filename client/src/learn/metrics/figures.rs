use serde::{Deserialize, Serialize};

use super::ConfusionMatrix;

/// Largest k of a top-k accuracy.
pub(super) const TOP: usize = 10;

/// The figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Images judged.
    pub images: u64,
    /// Mean cross entropy, in nats. Never weighted or smoothed, whatever the model was trained with, so that models can be compared.
    pub loss: f64,
    /// Share of right predictions.
    pub accuracy: Option<f64>,
    /// Share of wrong predictions.
    pub error_rate: Option<f64>,
    /// Mean recall.
    pub balanced_accuracy: Option<f64>,
    /// Mean F1.
    pub macro_f1: Option<f64>,
    /// See [`auroc`](super::auroc()); for two classes only.
    pub auroc: Option<f64>,
    /// Share of images whose class is among the k likeliest, for k = 1, 2, ... up to 10 or the number of classes.
    pub top_k: Vec<f64>,
    /// In label order.
    pub classes: Vec<ClassFigures>,
    /// Rows actual, columns predicted.
    pub confusion_matrix: Vec<Vec<u64>>,
}

impl Figures {
    pub(super) fn new(
        matrix: &ConfusionMatrix,
        loss: f64,
        top_k: Vec<f64>,
        auroc: Option<f64>,
        names: &[String],
    ) -> Self {
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
            macro_f1: matrix.macro_f1(),
            auroc,
            top_k,
            classes: names.iter().enumerate().map(class).collect(),
            confusion_matrix: matrix.rows().map(<[u64]>::to_vec).collect(),
        }
    }

    /// The figures of the class called `name`.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&ClassFigures> {
        self.classes.iter().find(|class| class.name == name)
    }
}

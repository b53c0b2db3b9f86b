use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Metrics, Proportion, summary::TOP};
use crate::serde_text::string_conversions;

/// A metric of [`Metrics`] by name: a column of a table, or the criterion of the best model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Metric {
    /// Mean cross entropy.
    Loss,
    /// Share of correct predictions.
    Accuracy,
    /// Share of wrong predictions.
    ErrorRate,
    /// Mean recall.
    BalancedAccuracy,
    /// Mean F1.
    MacroF1,
    /// Area under the receiver operating characteristic, for two classes.
    Auroc,
    /// Smallest recall of all classes.
    WorstRecall,
    /// Matthews correlation coefficient.
    Matthews,
    /// Expected calibration error.
    CalibrationError,
    /// Top-k accuracy.
    Top(usize),
    /// Recall of a class.
    Recall(String),
    /// Precision of a class.
    Precision(String),
    /// F1 of a class.
    F1(String),
}

impl Metric {
    /// The default metrics for a number of classes.
    #[must_use]
    pub fn defaults(classes: usize) -> Vec<Self> {
        let always = [Self::ErrorRate, Self::BalancedAccuracy, Self::MacroF1];
        let of_two = (classes == 2).then_some(Self::Auroc);
        let of_many = (classes > 5).then_some(Self::Top(5));
        always.into_iter().chain(of_two).chain(of_many).collect()
    }

    /// Whether the metric is defined for models of these classes.
    #[must_use]
    pub fn exists_for(&self, classes: &[String]) -> bool {
        match self {
            Self::Auroc => classes.len() == 2,
            Self::Top(k) => *k <= classes.len(),
            Self::Recall(class) | Self::Precision(class) | Self::F1(class) => classes.contains(class),
            Self::Loss
            | Self::Accuracy
            | Self::ErrorRate
            | Self::BalancedAccuracy
            | Self::MacroF1
            | Self::WorstRecall
            | Self::Matthews
            | Self::CalibrationError => true,
        }
    }

    /// Whether a higher value is better.
    #[must_use]
    pub fn is_higher_better(&self) -> bool {
        !matches!(self, Self::Loss | Self::ErrorRate | Self::CalibrationError)
    }

    /// Its value; `None` if it is undefined, such as without images or for an unknown class.
    #[must_use]
    pub fn of(&self, metrics: &Metrics) -> Option<f64> {
        match self {
            Self::Loss => (metrics.images > 0).then_some(metrics.loss),
            Self::Accuracy => metrics.accuracy,
            Self::ErrorRate => metrics.error_rate,
            Self::BalancedAccuracy => metrics.balanced_accuracy,
            Self::MacroF1 => metrics.macro_f1,
            Self::Auroc => metrics.auroc,
            Self::WorstRecall => metrics.worst_recall,
            Self::Matthews => metrics.matthews,
            Self::CalibrationError => metrics.calibration_error,
            Self::Top(k) => metrics.top_k.get(k.wrapping_sub(1)).copied(),
            Self::Recall(class) => metrics.class(class)?.recall,
            Self::Precision(class) => metrics.class(class)?.precision,
            Self::F1(class) => metrics.class(class)?.f1,
        }
    }

    /// Title of its column.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Loss => "loss".to_owned(),
            Self::Accuracy => "accuracy".to_owned(),
            Self::ErrorRate => "error rate".to_owned(),
            Self::BalancedAccuracy => "balanced accuracy".to_owned(),
            Self::MacroF1 => "macro F1".to_owned(),
            Self::Auroc => "AUROC".to_owned(),
            Self::WorstRecall => "worst recall".to_owned(),
            Self::Matthews => "Matthews correlation".to_owned(),
            Self::CalibrationError => "calibration error".to_owned(),
            Self::Top(k) => format!("top-{k} accuracy"),
            Self::Recall(class) => format!("recall of {class}"),
            Self::Precision(class) => format!("precision of {class}"),
            Self::F1(class) => format!("F1 of {class}"),
        }
    }

    /// The proportion of the recall or precision of a class; empty for any other metric.
    fn proportion(&self, metrics: Option<&Metrics>) -> Proportion {
        let of = |class: &str, pick: fn(&Metrics, usize) -> Proportion| {
            metrics.and_then(|metrics| Some(pick(metrics, metrics.label(class)?)))
        };
        let found = match self {
            Self::Recall(class) => of(class, Metrics::recall),
            Self::Precision(class) => of(class, Metrics::precision),
            _ => None,
        };
        found.unwrap_or_default()
    }

    /// Its formatted value; a dash if it is undefined.
    #[must_use]
    pub fn show(&self, metrics: Option<&Metrics>) -> String {
        match (self, metrics.and_then(|metrics| self.of(metrics))) {
            (Self::Recall(_) | Self::Precision(_), _) => self.proportion(metrics).to_string(),
            (_, None) => "-".to_owned(),
            (Self::Loss | Self::Auroc | Self::Matthews, Some(value)) => format!("{value:.4}"),
            (_, Some(value)) => format!("{:.1} %", value * 100.0),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss => f.write_str("loss"),
            Self::Accuracy => f.write_str("accuracy"),
            Self::ErrorRate => f.write_str("error_rate"),
            Self::BalancedAccuracy => f.write_str("balanced_accuracy"),
            Self::MacroF1 => f.write_str("macro_f1"),
            Self::Auroc => f.write_str("auroc"),
            Self::WorstRecall => f.write_str("worst_recall"),
            Self::Matthews => f.write_str("mcc"),
            Self::CalibrationError => f.write_str("ece"),
            Self::Top(k) => write!(f, "top:{k}"),
            Self::Recall(class) => write!(f, "recall:{class}"),
            Self::Precision(class) => write!(f, "precision:{class}"),
            Self::F1(class) => write!(f, "f1:{class}"),
        }
    }
}

string_conversions!(Metric);

/// Unknown metric.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown metric `{0}`: expected loss, accuracy, error_rate, balanced_accuracy, macro_f1, auroc, worst_recall, mcc, ece, top:K with K from 1 to 10, \
    recall:CLASS, precision:CLASS or f1:CLASS"
)]
pub struct ParseMetricError(String);

impl FromStr for Metric {
    type Err = ParseMetricError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, of) = text
            .split_once(':')
            .map_or((text, None), |(name, of)| (name, Some(of)));
        let class = of.filter(|class| !class.is_empty()).map(str::to_owned);
        let metric = match (name, of) {
            ("loss", None) => Some(Self::Loss),
            ("accuracy", None) => Some(Self::Accuracy),
            ("error_rate", None) => Some(Self::ErrorRate),
            ("balanced_accuracy", None) => Some(Self::BalancedAccuracy),
            ("macro_f1", None) => Some(Self::MacroF1),
            ("auroc", None) => Some(Self::Auroc),
            ("worst_recall", None) => Some(Self::WorstRecall),
            ("mcc", None) => Some(Self::Matthews),
            ("ece", None) => Some(Self::CalibrationError),
            ("top", Some(k)) => k.parse().ok().filter(|k| (1..=TOP).contains(k)).map(Self::Top),
            ("recall", _) => class.map(Self::Recall),
            ("precision", _) => class.map(Self::Precision),
            ("f1", _) => class.map(Self::F1),
            _ => None,
        };
        metric.ok_or_else(|| ParseMetricError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::MetricAccumulator;

    const ALL: [&str; 13] = [
        "loss",
        "accuracy",
        "error_rate",
        "balanced_accuracy",
        "macro_f1",
        "auroc",
        "worst_recall",
        "mcc",
        "ece",
        "top:2",
        "recall:birds",
        "precision:birds",
        "f1:birds",
    ];

    fn metric(text: &str) -> Metric {
        text.parse().expect("a metric")
    }

    /// Two birds, one of them correctly classified, and two flowers, both correctly classified.
    fn metrics() -> Metrics {
        let mut accumulator = MetricAccumulator::new(2);
        for (logits, label) in [([2.0, 0.0], 0), ([0.0, 1.0], 0), ([0.0, 2.0], 1), ([0.0, 3.0], 1)] {
            accumulator.record(&logits, label);
        }
        accumulator.metrics(&["birds".to_owned(), "flowers".to_owned()])
    }

    #[test]
    fn metrics_round_trip_through_text() {
        for text in ALL {
            assert_eq!(metric(text).to_string(), text);
        }
        for text in [
            "",
            "top",
            "top:0",
            "top:11",
            "recall",
            "recall:",
            "loss:birds",
            "f2",
        ] {
            let message = text.parse::<Metric>().expect_err("no metric").to_string();
            assert!(
                message.contains(&format!("`{text}`")) && message.contains("macro_f1"),
                "{message}"
            );
        }
    }

    #[test]
    fn every_metric_has_its_own_value() {
        let values = ALL.map(|text| metric(text).of(&metrics()));
        let expected = [
            0.75,
            0.25,
            0.75,
            (2.0 / 3.0 + 0.8) / 2.0,
            1.0,
            0.5,
            3.0_f64.sqrt() / 3.0,
            0.254_222_573_962_951_67,
            1.0,
            0.5,
            1.0,
            2.0 / 3.0,
        ];
        assert!(
            (values[0].expect("a loss") - 0.403_926).abs() < 1e-6,
            "{values:?}"
        );
        for (text, (found, expected)) in ALL[1..].iter().zip(values[1..].iter().zip(expected)) {
            let found = found.expect("every metric is defined");
            assert!((found - expected).abs() < 1e-12, "{text}: {found}");
        }
        assert_eq!(metric("recall:cats").of(&metrics()), None);
        assert_eq!(metric("top:3").of(&metrics()), None);
    }

    #[test]
    fn metrics_of_unknown_classes_do_not_exist() {
        let classes = ["birds", "cats", "flowers"].map(str::to_owned);
        let exist = |text: &str| metric(text).exists_for(&classes);
        assert!(["loss", "macro_f1", "top:3", "f1:cats"].into_iter().all(exist));
        assert!(!["auroc", "top:4", "recall:dogs"].into_iter().any(exist));
    }

    #[test]
    fn lower_is_better_only_for_errors() {
        let lower: Vec<&str> = ALL
            .into_iter()
            .filter(|text| !metric(text).is_higher_better())
            .collect();
        assert_eq!(lower, ["loss", "error_rate", "ece"]);
    }

    #[test]
    fn values_are_formatted_as_proportions_and_numbers() {
        let shown = |text: &str| metric(text).show(Some(&metrics()));
        assert_eq!(
            [shown("recall:birds"), shown("auroc"), shown("recall:cats")],
            ["1 of 2", "1.0000", "-"]
        );
        assert_eq!(metric("loss").show(None), "-");
    }
}

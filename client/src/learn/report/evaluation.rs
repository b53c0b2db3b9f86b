//! What is reported of a model on a split: as JSON, as text and as a page.

use std::fmt::Write as _;

use maud::html;
use serde::Serialize;

use super::{
    canvas,
    html::{
        Figure, Page,
        evaluation::{self, Cells},
    },
    table::{self, percent},
};
use crate::learn::{
    adjustments::Adjustments,
    metrics::{Interval, Metric, Metrics, PrecisionRecall, RarestClasses, ShotGroup},
    predictions::{CURVES, Predictions},
    text::{counted, listed},
};

/// Most classes with few images that are named.
const NAMED: usize = 3;

/// What is reported of a model on a split.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationReport {
    /// The metrics.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// 95 % intervals of some of them.
    pub intervals: Intervals,
    /// Groups of classes by training images; empty if these are unknown.
    pub shot_groups: Vec<ShotGroup>,
    /// What was done to the logits of the trained model, and its threshold.
    pub adjustments: Adjustments,
    /// Training images of each class in label order; empty if unknown.
    #[serde(skip)]
    training: Vec<u64>,
    #[serde(skip)]
    curves: Vec<PrecisionRecall>,
}

/// 95 % confidence intervals; `null` without images.
#[derive(Clone, Debug, Serialize)]
pub struct Intervals {
    /// Of the accuracy.
    pub accuracy: Option<Interval>,
    /// Of the balanced accuracy.
    pub balanced_accuracy: Option<Interval>,
    /// Of each class's recall, in label order.
    pub recall: Vec<Option<Interval>>,
}

impl EvaluationReport {
    /// The report of a model with these predictions and `adjustments`, whose threshold is used. `classes` are names in label order, `training`
    /// their training images; empty if unknown.
    #[must_use]
    pub fn new(
        predictions: &Predictions,
        classes: &[String],
        adjustments: &Adjustments,
        training: Vec<u64>,
    ) -> Self {
        let threshold = adjustments.threshold.as_ref();
        let threshold = threshold.and_then(|chosen| chosen.threshold(classes));
        let metrics = predictions.metrics_at(classes, threshold);
        let recall = (0..classes.len()).map(|label| metrics.recall(label).interval());
        Self {
            intervals: Intervals {
                accuracy: metrics.hits().interval(),
                balanced_accuracy: metrics.balanced_accuracy_interval(),
                recall: recall.collect(),
            },
            shot_groups: ShotGroup::of(&metrics, &training),
            adjustments: adjustments.clone(),
            curves: predictions.curves(&metrics, CURVES),
            training,
            metrics,
        }
    }

    /// The table of classes and the metrics of the whole split, with intervals and warnings.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = table::classes(&self.metrics);
        let interval = |name: &str, interval: Option<Interval>| {
            interval.map(|interval| format!("{name} {} ({})", interval.percent(), interval.method))
        };
        let intervals = [
            interval("accuracy", self.intervals.accuracy),
            interval("balanced accuracy", self.intervals.balanced_accuracy),
        ];
        let intervals: Vec<String> = intervals.into_iter().flatten().collect();
        if !intervals.is_empty() {
            let _ = writeln!(text, "95 % intervals: {}", intervals.join("   "));
        }
        let others = [Metric::WorstRecall, Metric::Matthews, Metric::CalibrationError];
        let others = others.map(|metric| format!("{} {}", metric.title(), metric.show(Some(&self.metrics))));
        let mut others = others.to_vec();
        if let Some(mean) = self.metrics.mean_average_precision {
            others.push(format!("mean average precision {mean:.4}"));
        }
        let _ = writeln!(text, "{}", others.join("   "));
        let groups: Vec<String> = self.shot_groups.iter().map(group_words).collect();
        if !groups.is_empty() {
            let _ = writeln!(text, "mean recall: {}", groups.join("   "));
        }
        for line in self.adjustments.described() {
            let _ = writeln!(text, "adjusted: {line}");
        }
        if let Some(warning) = small_classes(&self.metrics) {
            let _ = writeln!(text, "{warning}");
        }
        text
    }

    /// The report as a page, and its figures.
    ///
    /// # Errors
    ///
    /// [`canvas::Error`] if a figure cannot be drawn.
    pub fn page(&self, title: &str) -> Result<(Page, Vec<Figure>), canvas::Error> {
        let metrics = &self.metrics;
        let (confusion, drawing) =
            evaluation::confusion(metrics, "confusion-matrix", &[Cells::Counts, Cells::Shares])?;
        let reliability = evaluation::reliability(metrics)?;
        let curves = evaluation::precision_recall(&self.curves)?;
        let names = metrics.classes.iter().map(|class| &*class.name);
        let rarest = RarestClasses::of(names.zip(self.training.iter().copied()));
        let lede = html! {
            (evaluation::headline(metrics, rarest.as_ref()))
            @if !self.adjustments.is_empty() {
                p { "Adjusted: " (self.adjustments.described().join("; ")) "." }
            }
            @if let Some(warning) = small_classes(metrics) { p { (warning) "." } }
        };
        let classes = html! {
            (confusion)
            (evaluation::confused_pairs(metrics))
            (evaluation::classes(metrics))
            (evaluation::shot_groups(&self.shot_groups))
        };
        let mut page = Page::new(title)
            .lede(lede)
            .with("confusion", "Confusion", classes);
        if let Some(figure) = &reliability {
            page = page.with("calibration", "Calibration", figure.markup());
        }
        if let Some(figure) = &curves {
            page = page.with("precision-recall", "Precision and recall", figure.markup());
        }
        let figures = [drawing, reliability, curves];
        Ok((page, figures.into_iter().flatten().collect()))
    }
}

/// `few-shot (under 20): 25.0 % of 1 class`.
fn group_words(group: &ShotGroup) -> String {
    let of = match group.classes {
        1 => "1 class".to_owned(),
        classes => format!("{classes} classes"),
    };
    format!("{} {} of {of}", group.group, percent(Some(group.recall)))
}

/// A sentence about the classes with too few images to compare models by; `None` if there are none.
pub(in crate::learn) fn small_classes(metrics: &Metrics) -> Option<String> {
    let small: Vec<String> = metrics
        .small_classes()
        .map(|(class, recall)| format!("{} has {}", class.name, counted(recall.of, "image")))
        .collect();
    if small.is_empty() {
        return None;
    }
    let mut shown: Vec<String> = small.iter().take(NAMED).cloned().collect();
    if small.len() > NAMED {
        shown.push(format!("{} more", small.len() - NAMED));
    }
    Some(format!(
        "too few images to compare models by (see the intervals): {}",
        listed(&shown)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{
        adjustments::{ThresholdChoice, threshold},
        prior::ClassShares,
    };

    fn names() -> [String; 2] {
        ["birds", "flowers"].map(str::to_owned)
    }

    /// Four birds, one of them recognised, and forty flowers.
    fn predictions() -> Predictions {
        let mut predictions = Predictions::default();
        for (label, logits, times) in [(0, [1.0, 0.0], 1), (0, [0.0, 1.0], 3), (1, [0.0, 2.0], 40)] {
            (0..times).for_each(|_| predictions.push(0, label, &logits));
        }
        predictions
    }

    fn report(adjustments: &Adjustments) -> EvaluationReport {
        EvaluationReport::new(&predictions(), &names(), adjustments, vec![16, 160])
    }

    #[test]
    fn the_text_has_intervals_with_their_methods_groups_and_a_warning() {
        let text = report(&Adjustments::default()).text();
        for line in [
            "95 % intervals: accuracy 81.8–97.7 % (Wilson)   balanced accuracy 51.4–85.0 % (combined Wilson)",
            "worst recall 25.0 %   Matthews correlation 0.4822",
            "mean recall: many-shot (over 100 training images) 100.0 % of 1 class   few-shot (under 20) 25.0 % of 1 class",
            "too few images to compare models by (see the intervals): birds has 4 images",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("adjusted"), "{text}");
    }

    #[test]
    fn a_threshold_is_used_and_named() {
        let shares = ClassShares {
            images: vec![16, 160],
            ..ClassShares::default()
        };
        let of = (&names()[..], &shares);
        let choice = ThresholdChoice::Best("f1".parse().expect("a criterion"));
        let adjustments = Adjustments {
            threshold: threshold(choice, of, &predictions()).ok(),
            ..Adjustments::default()
        };
        let report = report(&adjustments);
        assert_eq!(report.metrics.confusion_matrix, [[4, 0], [0, 40]]);
        let text = report.text();
        assert!(
            text.contains(
                "adjusted: birds from probability 0.182 on (best f1 on 44 validation images; 95 % interval"
            ),
            "{text}"
        );
    }

    #[test]
    fn json_has_the_metrics_at_its_top_and_the_page_its_figures() {
        let report = report(&Adjustments::default());
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["balanced_accuracy"], 0.625);
        assert_eq!(json["intervals"]["accuracy"]["method"], "wilson");
        assert_eq!(
            json["intervals"]["balanced_accuracy"]["method"],
            "combined_wilson"
        );
        assert_eq!(json["shot_groups"][1]["group"], "few");
        assert!(json["classes"][0]["average_precision"].is_number());
        let (page, figures) = report.page("A page").expect("drawn");
        let page = page.to_html();
        for part in [
            "id=\"reliability\"",
            "id=\"precision-recall-curves\"",
            "few-shot",
            "too few images",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(figures.len(), 2, "the confusion matrix of two classes is a table");
    }

    #[test]
    fn many_small_classes_are_counted() {
        let names: Vec<String> = (0..6).map(|class| format!("c{class}")).collect();
        let mut predictions = Predictions::default();
        (0..6).for_each(|label| predictions.push(label, label, &[0.0; 6]));
        let warning = small_classes(&predictions.metrics(&names)).expect("small classes");
        assert!(warning.ends_with("c2 has 1 image and 3 more"), "{warning}");
    }
}

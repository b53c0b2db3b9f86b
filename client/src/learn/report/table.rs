//! Metrics as text.

use std::fmt::Write as _;

use equibatch_cli::terminal::ruled_table;

use crate::learn::metrics::{ConfusedPair, Metric, Metrics, Proportion, most_confused};

/// Most classes of a confusion matrix as a table; for more, confused pairs are listed.
pub(in crate::learn) const MATRIX_CLASSES: usize = 6;
/// Most confused pairs in a table.
pub(in crate::learn) const PAIRS: usize = 20;

/// Metrics of a model, with its name.
#[derive(Clone, Debug)]
pub struct NamedMetrics {
    /// Name of the model.
    pub name: String,
    /// Its metrics.
    pub metrics: Metrics,
}

/// Precision, recall with its 95 % Wilson interval and F1 of each class, then the metrics of the whole split.
#[must_use]
pub fn classes(metrics: &Metrics) -> String {
    let header = class_header(metrics).into_iter().map(str::to_owned);
    let mut rows = vec![header.collect()];
    rows.extend(class_rows(metrics));
    let mut text = ruled_table(&rows);
    let of_the_whole = whole(metrics.classes.len())
        .map(|metric| format!("{} {}", metric.title(), metric.show(Some(metrics))));
    let words: Vec<String> = of_the_whole.collect();
    let _ = writeln!(text, "\n{}   images {}", words.join("   "), metrics.images);
    text
}

/// The header of [`class_rows`].
pub(in crate::learn) fn class_header(metrics: &Metrics) -> Vec<&'static str> {
    let mut header = vec!["class", "images", "precision", "recall", "95 % interval", "F1"];
    if metrics.mean_average_precision.is_some() {
        header.push("average precision");
    }
    header
}

/// A row per class: name, images, precision, recall, its interval, F1, and average precision if it is known.
pub(in crate::learn) fn class_rows(metrics: &Metrics) -> impl Iterator<Item = Vec<String>> {
    metrics.classes.iter().enumerate().map(|(label, class)| {
        let recall = metrics.recall(label);
        let mut row = vec![
            class.name.clone(),
            class.images.to_string(),
            metrics.precision(label).to_string(),
            recall.to_string(),
            recall.shown_interval(),
            percent(class.f1),
        ];
        if metrics.mean_average_precision.is_some() {
            let precision = class.average_precision;
            row.push(precision.map_or_else(|| "-".to_owned(), |precision| format!("{precision:.4}")));
        }
        row
    })
}

/// The confusion matrix, rows actual and columns predicted; for more than six classes, the confused pairs.
#[must_use]
pub fn confusion(metrics: &Metrics) -> String {
    if metrics.classes.len() <= MATRIX_CLASSES {
        return confusion_matrix(metrics);
    }
    let pairs = pair_rows(metrics);
    if pairs.is_empty() {
        return "no image was misclassified\n".to_owned();
    }
    let header = ["actual", "predicted", "images", "of its class"]
        .map(str::to_owned)
        .to_vec();
    let shown = pairs.iter().take(PAIRS).cloned();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(shown).collect();
    let mut text = ruled_table(&rows);
    if pairs.len() > PAIRS {
        let _ = writeln!(text, "and {} more pairs", pairs.len() - PAIRS);
    }
    text
}

/// A row per confused pair in descending order of images: actual, predicted, images, and their share of the class.
pub(in crate::learn) fn pair_rows(metrics: &Metrics) -> Vec<Vec<String>> {
    let row = |pair: &ConfusedPair| {
        let of = Proportion {
            hits: pair.images,
            of: metrics.classes[pair.actual].images,
        };
        let names = [pair.actual, pair.predicted].map(|label| metrics.classes[label].name.clone());
        names
            .into_iter()
            .chain([pair.images.to_string(), of.to_string()])
            .collect()
    };
    most_confused(metrics).iter().map(row).collect()
}

fn confusion_matrix(metrics: &Metrics) -> String {
    let names = metrics.classes.iter().map(|class| class.name.clone());
    let mut rows = vec![
        std::iter::once("actual \\ predicted".to_owned())
            .chain(names)
            .collect::<Vec<_>>(),
    ];
    for (class, counts) in metrics.classes.iter().zip(&metrics.confusion_matrix) {
        rows.push(
            std::iter::once(class.name.clone())
                .chain(counts.iter().map(u64::to_string))
                .collect(),
        );
    }
    ruled_table(&rows)
}

/// Several models side by side: recall of each class, then the metrics of the whole split. `training` are the training images of each class
/// label order: the class with the fewest comes first. Without them, classes come in label order.
#[must_use]
pub fn side_by_side(models: &[NamedMetrics], training: Option<&[u64]>) -> String {
    let Some(first) = models.first() else {
        return String::new();
    };
    let mut rows = vec![
        std::iter::once(String::new())
            .chain(models.iter().map(|model| model.name.clone()))
            .collect::<Vec<_>>(),
    ];
    let mut order: Vec<usize> = (0..first.metrics.classes.len()).collect();
    order.sort_by_key(|&class| training.and_then(|images| images.get(class).copied()));
    let mut line = |label: String, cell: &dyn Fn(&Metrics) -> String| {
        rows.push(
            std::iter::once(label)
                .chain(models.iter().map(|model| cell(&model.metrics)))
                .collect(),
        );
    };
    for class in order {
        let of = &first.metrics.classes[class];
        line(format!("recall of {} ({})", of.name, of.images), &|metrics| {
            metrics.recall(class).to_string()
        });
    }
    for metric in whole(first.metrics.classes.len()) {
        line(metric.title(), &|metrics| metric.show(Some(metrics)));
    }
    ruled_table(&rows)
}

/// The metrics of a whole split.
fn whole(classes: usize) -> impl Iterator<Item = Metric> {
    let defaults = Metric::defaults(classes).into_iter();
    [Metric::Accuracy]
        .into_iter()
        .chain(defaults)
        .chain([Metric::Loss])
}

/// `93.2 %`, or a dash if undefined.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::MetricAccumulator;

    fn metrics(rare_hits: u64) -> Metrics {
        let mut accumulator = MetricAccumulator::new(2);
        for (actual, logits, times) in [
            (0, [1.0, 0.0], rare_hits),
            (0, [0.0, 1.0], 4 - rare_hits),
            (1, [0.0, 1.0], 40),
        ] {
            (0..times).for_each(|_| accumulator.record(&logits, actual));
        }
        accumulator.metrics(&["birds".to_owned(), "flowers".to_owned()])
    }

    #[test]
    fn class_metrics_are_one_line_each() {
        let text = classes(&metrics(1));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "class    images  precision   recall  95 % interval      F1"
        );
        assert_eq!(
            lines[2],
            "birds         4     1 of 1   1 of 4     4.6–69.9 %  40.0 %"
        );
        assert_eq!(
            lines[3],
            "flowers      40     93.0 %  100.0 %   91.2–100.0 %  96.4 %"
        );
        assert_eq!(
            lines[5],
            "accuracy 93.2 %   error rate 6.8 %   balanced accuracy 62.5 %   macro F1 68.2 %   AUROC 0.6250   loss 0.3814   images 44"
        );
    }

    #[test]
    fn the_matrix_has_actual_rows_and_predicted_columns() {
        let text = confusion(&metrics(1));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "actual \\ predicted  birds  flowers");
        assert_eq!(lines[2], "birds                   1        3");
        assert_eq!(lines[3], "flowers                 0       40");
    }

    #[test]
    fn models_are_shown_side_by_side_with_the_rarest_class_first() {
        let model = |name: &str, hits| NamedMetrics {
            name: name.to_owned(),
            metrics: metrics(hits),
        };
        let models = [model("natural", 0), model("oversample", 3)];
        let text = side_by_side(&models, Some(&[16, 160]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "                        natural  oversample");
        assert_eq!(lines[2], "recall of birds (4)      0 of 4      3 of 4");
        assert!(lines[3].starts_with("recall of flowers (40)"));
        assert_eq!(lines[7], "macro F1                 47.6 %      92.2 %");
        // The order depends on training images, not on validation images.
        let text = side_by_side(&models, Some(&[160, 16]));
        assert!(
            text.lines()
                .nth(2)
                .is_some_and(|line| line.starts_with("recall of flowers")),
            "{text}"
        );
    }

    #[test]
    fn for_many_classes_the_confused_pairs_are_listed() {
        let names: Vec<String> = (0..16).map(|class| format!("a long name {class}")).collect();
        let mut accumulator = MetricAccumulator::new(16);
        let mut record = |actual: usize, predicted: usize, times: u64| {
            let logits: Vec<f32> = (0..16)
                .map(|class| f32::from(u8::from(class == predicted)))
                .collect();
            (0..times).for_each(|_| accumulator.record(&logits, actual));
        };
        record(3, 3, 7);
        record(3, 5, 13);
        record(9, 2, 1);
        let text = confusion(&accumulator.metrics(&names));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "a long name 3  a long name 5      13        65.0 %");
        assert_eq!(lines[3], "a long name 9  a long name 2       1        1 of 1");
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.chars().count() < 80), "{text}");
        assert!(confusion(&MetricAccumulator::new(16).metrics(&names)).contains("no image"));
    }

    #[test]
    fn an_undefined_metric_is_a_dash() {
        assert_eq!(percent(None), "-");
        assert_eq!(percent(Some(0.25)), "25.0 %");
    }
}

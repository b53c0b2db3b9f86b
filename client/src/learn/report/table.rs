//! Figures as text.

use std::fmt::Write as _;

use crate::learn::metrics::{Figures, Metric};

/// Figures of one model, with its name.
#[derive(Clone, Debug)]
pub struct Named {
    /// What the reader knows the model by.
    pub name: String,
    /// Its figures.
    pub figures: Figures,
}

/// Precision, recall and F1 of each class, then the figures of the whole.
#[must_use]
pub fn classes(figures: &Figures) -> String {
    let mut rows = vec![
        ["class", "images", "precision", "recall", "F1"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for class in &figures.classes {
        let cells = [percent(class.precision), percent(class.recall), percent(class.f1)];
        rows.push(
            [class.name.clone(), class.images.to_string()]
                .into_iter()
                .chain(cells)
                .collect(),
        );
    }
    let mut text = aligned(&rows);
    let of_the_whole = whole(figures.classes.len())
        .map(|metric| format!("{} {}", metric.title(), metric.show(Some(figures))));
    let words: Vec<String> = of_the_whole.collect();
    let _ = writeln!(text, "\n{}   images {}", words.join("   "), figures.images);
    text
}

/// The confusion matrix: rows actual, columns predicted.
#[must_use]
pub fn confusion_matrix(figures: &Figures) -> String {
    let names = figures.classes.iter().map(|class| class.name.clone());
    let mut rows = vec![
        std::iter::once("actual \\ predicted".to_owned())
            .chain(names)
            .collect::<Vec<_>>(),
    ];
    for (class, counts) in figures.classes.iter().zip(&figures.confusion_matrix) {
        rows.push(
            std::iter::once(class.name.clone())
                .chain(counts.iter().map(u64::to_string))
                .collect(),
        );
    }
    aligned(&rows)
}

/// Several models side by side: recall of each class, the rarest first, then the figures of the whole.
#[must_use]
pub fn side_by_side(models: &[Named]) -> String {
    let Some(first) = models.first() else {
        return String::new();
    };
    let mut rows = vec![
        std::iter::once(String::new())
            .chain(models.iter().map(|model| model.name.clone()))
            .collect::<Vec<_>>(),
    ];
    let mut order: Vec<usize> = (0..first.figures.classes.len()).collect();
    order.sort_by_key(|&class| first.figures.classes[class].images);
    let mut line = |label: String, cell: &dyn Fn(&Figures) -> String| {
        rows.push(
            std::iter::once(label)
                .chain(models.iter().map(|model| cell(&model.figures)))
                .collect(),
        );
    };
    for class in order {
        let of = &first.figures.classes[class];
        line(format!("recall of {} ({})", of.name, of.images), &|figures| {
            percent(figures.classes.get(class).and_then(|class| class.recall))
        });
    }
    for metric in whole(first.figures.classes.len()) {
        line(metric.title(), &|figures| metric.show(Some(figures)));
    }
    aligned(&rows)
}

/// The figures that are not of single classes.
fn whole(classes: usize) -> impl Iterator<Item = Metric> {
    let usual = Metric::usual(classes).into_iter();
    [Metric::Accuracy].into_iter().chain(usual).chain([Metric::Loss])
}

/// `93.2 %`, or a dash for what is undefined.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Columns under one another: the first to the left, the others to the right; a rule below the first row.
pub(in crate::learn) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if column == 0 {
                write!(line, "{cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
        if index == 0 {
            let _ = writeln!(
                text,
                "{}",
                "-".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1))
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::Tally;

    fn figures(rare_hits: u64) -> Figures {
        let mut tally = Tally::new(2);
        for (actual, logits, times) in [
            (0, [1.0, 0.0], rare_hits),
            (0, [0.0, 1.0], 4 - rare_hits),
            (1, [0.0, 1.0], 40),
        ] {
            (0..times).for_each(|_| tally.record(&logits, actual));
        }
        tally.figures(&["birds".to_owned(), "flowers".to_owned()])
    }

    #[test]
    fn classes_are_lines_of_figures() {
        let text = classes(&figures(1));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "class    images  precision   recall      F1");
        assert_eq!(lines[2], "birds         4    100.0 %   25.0 %  40.0 %");
        assert_eq!(lines[3], "flowers      40     93.0 %  100.0 %  96.4 %");
        assert_eq!(
            lines[5],
            "accuracy 93.2 %   error rate 6.8 %   balanced accuracy 62.5 %   macro F1 68.2 %   AUROC 0.6250   loss 0.3814   images 44"
        );
    }

    #[test]
    fn the_matrix_has_actual_rows_and_predicted_columns() {
        let text = confusion_matrix(&figures(1));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "actual \\ predicted  birds  flowers");
        assert_eq!(lines[2], "birds                   1        3");
        assert_eq!(lines[3], "flowers                 0       40");
    }

    #[test]
    fn models_stand_side_by_side_with_the_rarest_class_first() {
        let model = |name: &str, hits| Named {
            name: name.to_owned(),
            figures: figures(hits),
        };
        let text = side_by_side(&[model("natural", 0), model("oversample", 3)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "                        natural  oversample");
        assert_eq!(lines[2], "recall of birds (4)       0.0 %      75.0 %");
        assert!(lines[3].starts_with("recall of flowers (40)"));
        assert_eq!(lines[7], "macro F1                 47.6 %      92.2 %");
    }

    #[test]
    fn an_undefined_figure_is_a_dash() {
        assert_eq!(percent(None), "-");
        assert_eq!(percent(Some(0.25)), "25.0 %");
    }
}

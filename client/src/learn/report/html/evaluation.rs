//! HTML of a model's metrics.

use maud::{Markup, html};

use super::{Figure, Table, table::scrolling};
use crate::learn::{
    metrics::{BINS, Metrics, PrecisionRecall, Proportion, RarestClasses, ShotGroup},
    report::{
        canvas::{self, Shade},
        chart::{Axis, Chart, LineStyle, Series},
        confusion_plot::ConfusionPlot,
        table::{MATRIX_CLASSES, PAIRS, class_header, class_rows, pair_rows, percent},
    },
    text::counted,
};

/// Headline metrics with their 95 % intervals: Wilson's, and for balanced accuracy those of the recalls combined.
#[must_use]
pub fn headline(metrics: &Metrics, rarest: Option<&RarestClasses>) -> Markup {
    let with_interval =
        |name: &str, of: Proportion| (format!("{name} ({})", of.shown_interval()), of.to_string());
    let mut facts = vec![
        with_interval("error rate", metrics.errors()),
        (
            metrics.balanced_accuracy_interval().map_or_else(
                || "balanced accuracy".to_owned(),
                |interval| format!("balanced accuracy ({})", interval.percent()),
            ),
            percent(metrics.balanced_accuracy),
        ),
    ];
    // If all classes are equally large, none is rare.
    if let Some(rarest) = rarest.filter(|rarest| rarest.labels.len() < metrics.classes.len()) {
        let each = if rarest.labels.len() > 1 { " each" } else { "" };
        let name = format!(
            "recall of {} with {}{each}",
            rarest.described(),
            counted(rarest.images, "training image")
        );
        facts.push(with_interval(&name, rarest.recall(metrics)));
    }
    facts.push(("loss".to_owned(), format!("{:.4}", metrics.loss)));
    facts.push(("images".to_owned(), metrics.images.to_string()));
    html! { dl.headline { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } } }
}

/// Contents of the cells of a confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// Numbers of images.
    Counts,
    /// Shares of the row.
    Shares,
}

/// The confusion matrix as tables of these `cells` next to one another; of more than six classes a drawing, which is given back, too. `id`
/// is the drawing's address within the page.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn confusion(
    metrics: &Metrics,
    id: &str,
    cells: &[Cells],
) -> Result<(Markup, Option<Figure>), canvas::Error> {
    if metrics.classes.len() <= MATRIX_CLASSES {
        let tables = html! {
            div.side-by-side { @for &cells in cells { (confusion_matrix(metrics, cells)) } }
        };
        return Ok((tables, None));
    }
    let recognised = metrics.images - metrics.errors().hits;
    let words = format!(
        "Confusion matrix of {} classes: {recognised} of {} are on the diagonal; the table of confused pairs lists the others.",
        metrics.classes.len(),
        counted(metrics.images, "image")
    );
    let caption = "Confusion matrix: images. Rows are actual classes, columns predicted ones; the larger the share of its row, the darker a cell.";
    let figure = Figure::chart(id, caption, &words, &ConfusionPlot::new(metrics, ""))?;
    Ok((figure.markup(), Some(figure)))
}

/// A table with rows of actual and columns of predicted classes; the darker a cell, the larger its share of the row.
fn confusion_matrix(metrics: &Metrics, cells: Cells) -> Markup {
    let caption = match cells {
        Cells::Counts => "Confusion matrix: images. Rows are actual classes, columns predicted ones.",
        Cells::Shares => "Confusion matrix, normalised: shares of each row.",
    };
    scrolling(
        caption,
        &html! {
            table.confusion {
                caption { (caption) }
                thead {
                    tr { td {} th scope="colgroup" colspan=(metrics.classes.len()) { "predicted" } }
                    tr { th scope="col" { "actual" } @for class in &metrics.classes { th scope="col" { (class.name) } } }
                }
                tbody {
                    @for (class, counts) in metrics.classes.iter().zip(&metrics.confusion_matrix) {
                        tr {
                            th scope="row" { (class.name) }
                            @for &count in counts { (cell(count, counts.iter().sum(), cells)) }
                        }
                    }
                }
            }
        },
    )
}

fn cell(count: u64, images: u64, cells: Cells) -> Markup {
    let share = (images > 0).then(|| count as f64 / images as f64);
    let text = match cells {
        Cells::Counts => count.to_string(),
        Cells::Shares => percent(share),
    };
    let shade = share.unwrap_or(0.0);
    let color = match Shade::of(shade) {
        Shade::Full => Some("full"),
        Shade::Half => Some("half"),
        Shade::Pale => None,
    };
    html! { td class=[color] style=(format!("--share:{shade:.3}")) { (text) } }
}

/// A table of images, precision, recall and F1 of each class.
#[must_use]
pub fn classes(metrics: &Metrics) -> Markup {
    let mut table = Table::new(
        "Metrics of each class, with the 95 % interval of its recall.",
        &class_header(metrics),
    );
    class_rows(metrics).for_each(|row| table.row(row));
    table.markup()
}

/// A table of the groups of classes by training images; nothing if there are none.
#[must_use]
pub fn shot_groups(groups: &[ShotGroup]) -> Markup {
    let mut table = Table::new(
        "Classes by their number of training images (Liu et al., 2019).",
        &["group", "classes", "images", "mean recall"],
    );
    for group in groups {
        table.row(vec![
            group.group.to_string(),
            group.classes.to_string(),
            group.images.to_string(),
            percent(Some(group.recall)),
        ]);
    }
    html! { @if !table.is_empty() { (table.markup()) } }
}

/// The reliability diagram: accuracy over probability, in bins. `None` without images.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn reliability(metrics: &Metrics) -> Result<Option<Figure>, canvas::Error> {
    let points = metrics
        .reliability
        .iter()
        .map(|bin| (bin.confidence, bin.accuracy().value().unwrap_or(0.0)));
    let points: Vec<(f64, f64)> = points.collect();
    if points.is_empty() {
        return Ok(None);
    }
    let diagonal = vec![(0.0, 0.0), (1.0, 1.0)];
    let chart = Chart::new(
        Axis::new("probability of the predicted class").percent(),
        Axis::new("share of correct predictions").percent(),
        vec![
            Series::line("calibrated", 1, diagonal).with_style(LineStyle::Background),
            Series::line("this model", 0, points).with_style(LineStyle::LineAndDots),
        ],
    );
    let bins = metrics.reliability.iter().map(|bin| {
        let confidence = percent(Some(bin.confidence));
        format!("{} correct at a mean probability of {confidence}", bin.accuracy())
    });
    let words: Vec<String> = bins.collect();
    let caption = format!(
        "Reliability diagram: predictions in {BINS} bins by their probability; bins without images are left out. Below the diagonal, \
         probabilities are too high. Expected calibration error {}.",
        percent(metrics.calibration_error)
    );
    Figure::chart(
        "reliability",
        &caption,
        &format!("Reliability diagram: {}.", words.join("; ")),
        &chart,
    )
    .map(Some)
}

/// Precision over recall of these classes. `None` without curves.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn precision_recall(curves: &[PrecisionRecall]) -> Result<Option<Figure>, canvas::Error> {
    if curves.is_empty() {
        return Ok(None);
    }
    let name = |curve: &PrecisionRecall| format!("{} ({:.3})", curve.class, curve.average_precision);
    let series = curves.iter().enumerate().map(|(number, curve)| {
        let points = curve.points.iter().map(|point| (point.recall, point.precision));
        Series::line(&name(curve), number, points.collect())
    });
    let chart = Chart::new(
        Axis::new("recall").percent().from_zero(),
        Axis::new("precision").percent().from_zero(),
        series.collect(),
    );
    let names: Vec<String> = curves.iter().map(name).collect();
    let caption = "Precision over recall of each class against the others, with its average precision; of many classes those with the smallest.";
    let words = format!(
        "Precision-recall curves, with average precisions: {}.",
        names.join("; ")
    );
    Figure::chart("precision-recall-curves", caption, &words, &chart).map(Some)
}

/// A table of at most twenty confused pairs, the most frequent first; a sentence if there are none.
#[must_use]
pub fn confused_pairs(metrics: &Metrics) -> Markup {
    let pairs = pair_rows(metrics);
    if pairs.is_empty() {
        return html! { p { "No image was misclassified." } };
    }
    let caption = match pairs.len() {
        count if count > PAIRS => format!("The {PAIRS} most frequent of {count} confused pairs."),
        _ => "Confused pairs, the most frequent first.".to_owned(),
    };
    let mut table = Table::new(&caption, &["actual", "predicted", "images", "of its class"]);
    pairs.into_iter().take(PAIRS).for_each(|row| table.row(row));
    table.markup()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::MetricAccumulator;

    fn metrics() -> Metrics {
        let mut accumulator = MetricAccumulator::new(3);
        for (actual, predicted, times) in [(0, 0, 1), (0, 1, 3), (1, 1, 40), (2, 0, 2), (2, 1, 3), (2, 2, 5)]
        {
            let logits: [f32; 3] = std::array::from_fn(|class| f32::from(u8::from(class == predicted)));
            (0..times).for_each(|_| accumulator.record(&logits, actual));
        }
        accumulator.metrics(&["birds", "flowers", "<cats>"].map(str::to_owned))
    }

    #[test]
    fn confused_pairs_are_a_table_with_counts_of_few_images() {
        let text = confused_pairs(&metrics()).into_string();
        assert!(
            text.contains("<th scope=\"row\">birds</th><td>flowers</td><td>3</td><td>3 of 4</td>"),
            "{text}"
        );
    }

    #[test]
    fn the_matrix_of_many_classes_is_a_drawing() {
        let accumulator = MetricAccumulator::new(7);
        let names: Vec<String> = (0..7).map(|class| format!("class {class}")).collect();
        let (markup, figure) =
            confusion(&accumulator.metrics(&names), "confusion-matrix", &[Cells::Counts]).expect("a drawing");
        let text = markup.into_string();
        assert!(
            figure.is_some() && text.contains("<svg") && !text.contains("<table"),
            "{text}"
        );
        let (markup, figure) = confusion(&metrics(), "confusion-matrix", &[Cells::Counts]).expect("a table");
        assert!(figure.is_none() && markup.into_string().contains("<table"));
    }

    #[test]
    fn a_matrix_is_a_table_with_headers_and_shades() {
        let text = confusion_matrix(&metrics(), Cells::Counts).into_string();
        assert!(text.contains("<th scope=\"row\">&lt;cats&gt;</th>"), "{text}");
        assert!(
            text.contains("<td class=\"half\" style=\"--share:0.750\">3</td>"),
            "{text}"
        );
        assert!(text.contains("<td style=\"--share:0.500\">5</td>"), "{text}");
        assert!(text.contains("<caption>"), "{text}");
        let text = confusion_matrix(&metrics(), Cells::Shares).into_string();
        assert!(
            text.contains("<td class=\"half\" style=\"--share:0.750\">75.0 %</td>"),
            "{text}"
        );
    }

    #[test]
    fn the_headline_names_the_rarest_class_by_its_training_images() {
        let headline = |training: [u64; 3]| {
            let names = ["birds", "flowers", "<cats>"];
            let rarest = RarestClasses::of(names.into_iter().zip(training));
            headline(&metrics(), rarest.as_ref()).into_string()
        };
        // Validation images, of which birds have the fewest, do not matter.
        let text = headline([20, 160, 16]);
        assert!(
            text.contains("<dt>recall of &lt;cats&gt;, the rarest class with 16 training images (23.7–76.3 %)</dt><dd>50.0 %</dd>"),
            "{text}"
        );
        let text = headline([1, 160, 16]);
        assert!(
            text.contains(
                "<dt>recall of birds, the rarest class with 1 training image (4.6–69.9 %)</dt><dd>1 of 4</dd>"
            ),
            "{text}"
        );
        let text = headline([16, 160, 16]);
        assert!(
            text.contains(
                "recall of birds and &lt;cats&gt;, the rarest classes with 16 training images each"
            ),
            "{text}"
        );
        assert!(!headline([7, 7, 7]).contains("rarest"));
        assert!(
            text.contains("<dt>error rate (7.7–26.6 %)</dt><dd>14.8 %</dd>"),
            "{text}"
        );
    }
}

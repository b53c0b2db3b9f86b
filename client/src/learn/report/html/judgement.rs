//! What follows from the figures of a model.

use std::fmt;

use maud::{Markup, html};

use super::{Table, table::scrolling};
use crate::learn::{metrics::Figures, report::table::percent};

/// The figures that are looked at first, in large letters.
#[must_use]
pub fn headline(figures: &Figures) -> Markup {
    let rarest = figures
        .classes
        .iter()
        .filter(|class| class.images > 0)
        .min_by_key(|class| class.images);
    let mut facts = vec![
        ("error rate".to_owned(), percent(figures.error_rate)),
        ("balanced accuracy".to_owned(), percent(figures.balanced_accuracy)),
    ];
    if let Some(class) = rarest {
        facts.push((
            format!("recall of {}, the rarest class", class.name),
            percent(class.recall),
        ));
    }
    facts.push(("loss".to_owned(), format!("{:.4}", figures.loss)));
    facts.push(("images".to_owned(), figures.images.to_string()));
    html! { dl.headline { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } } }
}

/// What the cells of a confusion matrix say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// Images.
    Counts,
    /// Shares of the images of the row's class.
    Shares,
}

/// Shares above which the words of a cell need another ink on dark paper, and on light paper, for a contrast of 4.5 and more.
const HALF: f64 = 0.565;
const FULL: f64 = 0.77;

/// The confusion matrix: rows are actual classes, columns predicted ones; the larger the share of its row, the darker a cell.
#[must_use]
pub fn confusion_matrix(figures: &Figures, cells: Cells) -> Markup {
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
                    tr { td {} th scope="colgroup" colspan=(figures.classes.len()) { "predicted" } }
                    tr { th scope="col" { "actual" } @for class in &figures.classes { th scope="col" { (class.name) } } }
                }
                tbody {
                    @for (class, counts) in figures.classes.iter().zip(&figures.confusion_matrix) {
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
    let ink = match shade {
        _ if shade > FULL => Some("full"),
        _ if shade > HALF => Some("half"),
        _ => None,
    };
    html! { td class=[ink] style=(format!("--share:{shade:.3}")) { (text) } }
}

/// Images, precision, recall and F1 of each class.
#[must_use]
pub fn classes(figures: &Figures) -> Markup {
    let mut table = Table::new(
        "Figures of each class.",
        &["class", "images", "precision", "recall", "F1"],
    );
    for class in &figures.classes {
        table.row(vec![
            class.name.clone(),
            class.images.to_string(),
            percent(class.precision),
            percent(class.recall),
            percent(class.f1),
        ]);
    }
    table.markup()
}

/// Images of one class that were taken for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confused {
    /// Label of the class.
    pub actual: usize,
    /// Label of what it was taken for.
    pub predicted: usize,
    /// How many images.
    pub images: u64,
}

/// Every pair of classes that were confused, the most frequent first, ties in the order of the matrix.
///
/// # Source
///
/// `ClassificationInterpretation.most_confused` of fastai 1.0 with `min_val=1`.
#[must_use]
pub fn most_confused(figures: &Figures) -> Vec<Confused> {
    let mut pairs: Vec<Confused> = vec![];
    for (actual, counts) in figures.confusion_matrix.iter().enumerate() {
        for (predicted, &images) in counts.iter().enumerate() {
            if actual != predicted && images > 0 {
                pairs.push(Confused {
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

/// The most frequent of them, `most` at most, as a table; a sentence where there is none.
#[must_use]
pub fn confused_pairs(figures: &Figures, most: usize) -> Markup {
    let pairs = most_confused(figures);
    if pairs.is_empty() {
        return html! { p { "No image was taken for another class." } };
    }
    let caption = match pairs.len() {
        count if count > most => format!("The {most} most frequent of {count} confused pairs."),
        _ => "Confused pairs, the most frequent first.".to_owned(),
    };
    let mut table = Table::new(&caption, &["actual", "taken for", "images", "of its class"]);
    for pair in pairs.iter().take(most) {
        let class = &figures.classes[pair.actual];
        let share = (class.images > 0).then(|| pair.images as f64 / class.images as f64);
        table.row(vec![
            class.name.clone(),
            figures.classes[pair.predicted].name.clone(),
            pair.images.to_string(),
            percent(share),
        ]);
    }
    table.markup()
}

/// `1 image`, `2 images`.
#[must_use]
pub fn counted(count: impl Into<u64>, what: &str) -> impl fmt::Display {
    let count = count.into();
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::Tally;

    fn figures() -> Figures {
        let mut tally = Tally::new(3);
        for (actual, predicted, times) in [(0, 0, 1), (0, 1, 3), (1, 1, 40), (2, 0, 2), (2, 1, 3), (2, 2, 5)]
        {
            let logits: [f32; 3] = std::array::from_fn(|class| f32::from(u8::from(class == predicted)));
            (0..times).for_each(|_| tally.record(&logits, actual));
        }
        tally.figures(&["birds", "flowers", "<cats>"].map(str::to_owned))
    }

    #[test]
    fn pairs_are_sorted_by_images_and_then_as_in_the_matrix() {
        let pairs: Vec<_> = most_confused(&figures())
            .iter()
            .map(|pair| (pair.actual, pair.predicted, pair.images))
            .collect();
        assert_eq!(pairs, [(0, 1, 3), (2, 1, 3), (2, 0, 2)]);
        let text = confused_pairs(&figures(), 2).into_string();
        assert!(
            text.contains("The 2 most frequent of 3 confused pairs."),
            "{text}"
        );
        assert!(
            text.contains("<th scope=\"row\">birds</th><td>flowers</td><td>3</td><td>75.0 %</td>"),
            "{text}"
        );
    }

    #[test]
    fn a_matrix_is_a_table_with_headers_and_shades() {
        let text = confusion_matrix(&figures(), Cells::Counts).into_string();
        assert!(text.contains("<th scope=\"row\">&lt;cats&gt;</th>"), "{text}");
        assert!(
            text.contains("<td class=\"half\" style=\"--share:0.750\">3</td>"),
            "{text}"
        );
        assert!(text.contains("<td style=\"--share:0.500\">5</td>"), "{text}");
        assert!(text.contains("<caption>"), "{text}");
        let text = confusion_matrix(&figures(), Cells::Shares).into_string();
        assert!(
            text.contains("<td class=\"half\" style=\"--share:0.750\">75.0 %</td>"),
            "{text}"
        );
    }

    #[test]
    fn the_headline_names_the_rarest_class() {
        let text = headline(&figures()).into_string();
        assert!(
            text.contains("<dt>recall of birds, the rarest class</dt><dd>25.0 %</dd>"),
            "{text}"
        );
    }

    #[test]
    fn figures_are_counted_in_english() {
        assert_eq!(counted(1_u32, "image").to_string(), "1 image");
        assert_eq!(counted(0_u32, "image").to_string(), "0 images");
    }
}

//! A comparison as an HTML page.

use maud::{Markup, html};

use super::{
    ArmResult, ArmTest, Comparison, MeanStd, file_name,
    table::{gain, mean_std, named_tests, probability, recall, rows, too_few},
};
use crate::learn::report::{
    canvas,
    chart::{Axis, BarGroup, Bars},
    html::{
        Figure, Page, Table,
        evaluation::{Cells, confusion},
        side_by_side,
    },
};
use crate::learn::text::counted;

/// The page of a comparison on `dataset`.
///
/// # Errors
///
/// [`canvas::Error`] if a chart cannot be drawn.
pub fn page(comparison: &Comparison, dataset: &str) -> Result<Page, canvas::Error> {
    let repeats = comparison.arms.first().map_or(0, |arm| arm.seeds.len());
    let lede = html! {
        p {
            (comparison.arms.len()) " arms on " (dataset) ", " (counted(repeats, "repeat")) " each with the same seeds, evaluated on the same "
            (comparison.images) " images, of which " (comparison.rarest_images) " are " (comparison.rarest) " (fewest training images)."
            @if comparison.folds > 1 { " Cross-validated: each image is evaluated by the model of " (comparison.folds) " that has not been trained on it." }
        }
        (warning(comparison))
    };
    sections(Page::new("Comparison").lede(lede), comparison)
}

/// Warns of classes with too few images.
pub(super) fn warning(comparison: &Comparison) -> Markup {
    html! { @if let Some(warning) = too_few(comparison) { p { "Warning: " (warning) "." } } }
}

/// Adds the sections of a comparison to `page`.
pub(super) fn sections(page: Page, comparison: &Comparison) -> Result<Page, canvas::Error> {
    let matrix = |arm: &ArmResult| -> Result<(String, Markup), canvas::Error> {
        let (markup, _) = confusion(
            &arm.all_repeats,
            &format!("confusion-{}", file_name(&arm.name)),
            &[Cells::Counts],
        )?;
        Ok((arm.name.clone(), markup))
    };
    let matrices: Vec<(String, Markup)> = comparison.arms.iter().map(matrix).collect::<Result<_, _>>()?;
    let chart = chart(comparison)?;
    let page = page
        .with(
            "figures",
            "Metrics",
            html! { (metrics(comparison)) (chart.markup()) (arms(comparison)) },
        )
        .with(
            "matrices",
            "Confusion matrices over all repeats",
            side_by_side(&matrices),
        );
    let page = match comparison.tests.is_empty() {
        true => page,
        false => page.with("tests", "McNemar's test", tests(comparison)),
    };
    Ok(match &comparison.holdout {
        None => page,
        Some(holdout) => page.with("fresh", "Held-out images", holdout.markup(&comparison.classes)),
    })
}

/// Bar chart of the recall of the rarest classes and the balanced accuracy of each arm.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn chart(comparison: &Comparison) -> Result<Figure, canvas::Error> {
    let value = |of: &MeanStd| (of.mean.unwrap_or(0.0), mean_std(of));
    let of_rarest = |of: &MeanStd| (of.mean.unwrap_or(0.0), recall(of, comparison.rarest_images));
    let bars = Bars {
        axis: Axis::new("mean of all repeats").from_zero().percent(),
        kinds: vec![
            format!("recall of {}", comparison.rarest),
            "balanced accuracy".to_owned(),
        ],
        groups: comparison
            .arms
            .iter()
            .map(|arm| BarGroup {
                name: arm.name.clone(),
                values: vec![of_rarest(&arm.rarest_recall), value(&arm.balanced_accuracy)],
            })
            .collect(),
    };
    let sentence = |arm: &ArmResult| {
        let (_, recall) = of_rarest(&arm.rarest_recall);
        format!("{}: recall of {} {recall}", arm.name, comparison.rarest)
    };
    let words: Vec<String> = comparison.arms.iter().map(sentence).collect();
    Figure::chart(
        "recall",
        "Recall of the rarest classes, and balanced accuracy.",
        &words.join("; "),
        &bars,
    )
}

fn metrics(comparison: &Comparison) -> Markup {
    let rows = rows(comparison);
    let header: Vec<&str> = rows[0].iter().map(String::as_str).collect();
    let caption = match comparison.arms.first().map_or(0, |arm| arm.seeds.len()) {
        0..=1 => "Of one repeat, with 95 % intervals over its images (Wilson).",
        _ => "Mean ± standard deviation over the repeats.",
    };
    let mut table = Table::new(caption, &header);
    rows[1..].iter().for_each(|row| table.row(row.clone()));
    table.markup()
}

/// The flags of each arm.
fn arms(comparison: &Comparison) -> Markup {
    let mut table = Table::new("Flags of `client train` that each arm adds.", &["arm", "flags"]);
    let rows = comparison.arms.iter();
    rows.for_each(|arm| table.row(vec![arm.name.clone(), arm.flags.clone()]));
    table.markup()
}

fn tests(comparison: &Comparison) -> Markup {
    html! {
        p {
            "Two-sided exact p-values: the probability of a difference at least as large if both arms were equally good. Repeats share their images, so \
            the relevant test is that of all repeats: the models of an arm form an ensemble by their mean probabilities."
        }
        @for test in &comparison.tests { (table_of(comparison, test)) }
    }
}

fn table_of(comparison: &Comparison, test: &ArmTest) -> Markup {
    let only = [&test.first, &test.second].map(|arm| format!("only {arm} correct"));
    let caption = format!("{} against {}", test.first, test.second);
    let mut table = Table::new(&caption, &["", &only[0], &only[1], "p"]);
    for (name, result) in named_tests(comparison, test) {
        table.row(vec![
            name,
            result.only_first.to_string(),
            result.only_second.to_string(),
            probability(result.p),
        ]);
    }
    html! {
        (table.markup())
        @if let Some(gain) = gain(test) { p { (gain) "." } }
    }
}

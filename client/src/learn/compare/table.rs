//! A comparison as text.

use std::fmt::Write as _;

use equibatch_cli::terminal::ruled_table;

use super::{ArmResult, ArmTest, Comparison, McNemar, MeanStd};
use crate::learn::metrics::{MIN_FOR_PERCENT, shortened};
use crate::learn::report::table::{confusion, percent};
use crate::learn::text::counted;

/// Title of the columns of intervals.
const INTERVAL: &str = "95 % interval";

/// Mean and standard deviation of every arm, the confusion matrices over all repeats, and McNemar's tests.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut text = ruled_table(&rows(comparison));
    if let Some(warning) = too_few(comparison) {
        let _ = writeln!(text, "\nwarning: {warning}");
    }
    for arm in &comparison.arms {
        let repeats = counted(arm.seeds.len(), "repeat");
        let _ = write!(
            text,
            "\n{}, {repeats} together\n\n{}",
            arm.name,
            confusion(&arm.all_repeats)
        );
    }
    let thresholds: Vec<String> = comparison.arms.iter().filter_map(threshold).collect();
    if !thresholds.is_empty() {
        let names = thresholds.join(", ");
        let _ = writeln!(
            text,
            "\nbest thresholds of {} for balanced accuracy: {names}",
            comparison.rarest
        );
    }
    for test in &comparison.tests {
        let _ = writeln!(text, "\nMcNemar's test, {} against {}", test.first, test.second);
        let header = ["", "only the first correct", "only the second correct", "p"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(
            named_tests(comparison, test)
                .into_iter()
                .map(|(name, test)| cells(name, test)),
        );
        let _ = write!(text, "\n{}", ruled_table(&rows));
        if let Some(gain) = gain(test) {
            let _ = writeln!(text, "\n{gain}");
        }
    }
    text
}

/// `balanced accuracy of oversample less that of natural: 12.3 points (95 % interval 4.5 to 20.1)`, of three repeats or more.
pub(super) fn gain(test: &ArmTest) -> Option<String> {
    let (mean, (low, high)) = (test.gain.mean?, test.gain.interval?);
    let [mean, low, high] = [mean, low, high].map(|share| share * 100.0);
    Some(format!(
        "balanced accuracy of {} less that of {}: {mean:.1} points (95 % interval {low:.1} to {high:.1})",
        test.second, test.first
    ))
}

/// Says which classes have too few images to tell arms apart, and what helps.
#[must_use]
pub fn too_few(comparison: &Comparison) -> Option<String> {
    let named = |(class, images): &(String, u64)| format!("{class} ({images})");
    let named: Vec<String> = comparison.too_few.iter().map(named).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let least = comparison.too_few.iter().map(|(_, images)| *images).min()?;
    let worth = match least {
        0 => "none at all".to_owned(),
        images => format!("one image is {:.0} points of recall", 100.0 / images as f64),
    };
    let remedy = match comparison.folds {
        1 => "evaluate on more images (--folds, --split test, or --valid-fraction of the server)",
        _ => "gather more images",
    };
    Some(format!(
        "fewer than {MIN_FOR_PERCENT} evaluated images of {}: {worth}, too few to tell arms apart; {remedy}",
        shortened(&named)
    ))
}

/// Cells of the first table. Intervals are over the repeats if there are three or more, and over the images of a single one.
pub(super) fn rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let rarest = format!("recall of {} ({})", comparison.rarest, comparison.rarest_images);
    let row = |arm: &ArmResult| {
        let of_recall = arm.rarest_recall_interval.map(|interval| interval.percent());
        let of_balanced = arm.balanced_accuracy_interval.map(|interval| interval.percent());
        [
            Some(arm.name.clone()),
            Some(arm.seeds.len().to_string()),
            Some(recall(&arm.rarest_recall, comparison.rarest_images)),
            of_recall,
            Some(mean_std(&arm.balanced_accuracy)),
            of_balanced.or_else(|| interval(&arm.balanced_accuracy)),
            Some(mean_std(&arm.error_rate)),
        ]
    };
    let header = [
        "",
        "repeats",
        &rarest,
        INTERVAL,
        "balanced accuracy",
        INTERVAL,
        "error rate",
    ];
    let header = header.map(|title| Some(title.to_owned()));
    let rows: Vec<[Option<String>; 7]> = comparison.arms.iter().map(row).collect();
    let is_shown = |column: usize| rows.iter().any(|row| row[column].is_some());
    let shown = |row: &[Option<String>; 7]| {
        let cells = row.iter().enumerate().filter(|(column, _)| is_shown(*column));
        let cells = cells.map(|(_, cell)| cell.clone().unwrap_or_else(|| "-".to_owned()));
        cells.collect::<Vec<String>>()
    };
    [header].iter().chain(&rows).map(shown).collect()
}

/// The tests of a pair of arms, with their row labels.
pub(super) fn named_tests<'a>(comparison: &Comparison, test: &'a ArmTest) -> Vec<(String, &'a McNemar)> {
    let seeds = comparison.arms.first().map(|arm| &*arm.seeds).unwrap_or_default();
    let named = seeds.iter().map(|seed| format!("seed {seed}")).zip(&test.repeats);
    let ensemble = [
        ("ensemble of all repeats".to_owned(), &test.ensemble),
        (
            format!("the same, {} only", comparison.rarest),
            &test.ensemble_on_rarest,
        ),
    ];
    named.chain(ensemble).collect()
}

/// `natural 0.182 ± 0.034`; `None` for other than two classes.
fn threshold(arm: &ArmResult) -> Option<String> {
    let mean = arm.threshold.mean?;
    let spread = arm
        .threshold
        .deviation
        .map_or_else(String::new, |deviation| format!(" ± {deviation:.3}"));
    Some(format!("{} {mean:.3}{spread}", arm.name))
}

fn cells(name: String, test: &McNemar) -> Vec<String> {
    vec![
        name,
        test.only_first.to_string(),
        test.only_second.to_string(),
        probability(test.p),
    ]
}

/// `75.0 % ± 12.5`.
pub(super) fn mean_std(mean_std: &MeanStd) -> String {
    let mean = percent(mean_std.mean);
    mean_std.deviation.map_or_else(
        || mean.clone(),
        |deviation| format!("{mean} ± {:.1}", deviation * 100.0),
    )
}

/// The interval of the mean, `62.5–80.1 %`; the limits of the metric are those of the interval, too.
fn interval(mean_std: &MeanStd) -> Option<String> {
    let (low, high) = mean_std.interval?;
    Some(format!(
        "{:.1}–{:.1} %",
        low.max(0.0) * 100.0,
        high.min(1.0) * 100.0
    ))
}

/// Mean and deviation of a recall; of fewer than ten images as a count, `3.5 of 4 ± 0.7`, because a percentage would suggest more
/// precision.
pub(super) fn recall(mean_std: &MeanStd, images: u64) -> String {
    let Some(mean) = mean_std.mean.filter(|_| images < MIN_FOR_PERCENT) else {
        return self::mean_std(mean_std);
    };
    let images = images as f64;
    match mean_std.deviation {
        None => format!("{:.0} of {images}", mean * images),
        Some(deviation) => format!("{:.1} of {images} ± {:.1}", mean * images, deviation * images),
    }
}

/// Three decimals, or the order of magnitude below 0.001.
pub(super) fn probability(p: f64) -> String {
    if p < 0.001 {
        format!("{p:.0e}")
    } else {
        format!("{p:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_and_p_values_are_formatted_briefly() {
        let shown = |values: &[f64]| mean_std(&MeanStd::of(values.iter().copied().map(Some)));
        assert_eq!(shown(&[0.5, 0.75]), "62.5 % ± 17.7");
        assert_eq!(shown(&[0.5]), "50.0 %");
        let shown = |values: &[f64], images| recall(&MeanStd::of(values.iter().copied().map(Some)), images);
        assert_eq!(shown(&[1.0], 1), "1 of 1");
        assert_eq!(shown(&[0.5, 0.75], 4), "2.5 of 4 ± 0.7");
        assert_eq!(shown(&[0.5, 0.75], 40), "62.5 % ± 17.7");
        let shown = interval(&MeanStd::of([0.9, 0.95, 1.0].map(Some)));
        assert_eq!(shown.as_deref(), Some("82.6–100.0 %"));
        assert_eq!(
            [0.5, 0.0391, 0.000_012].map(probability),
            ["0.500", "0.039", "1e-5"]
        );
    }
}

//! A comparison as text.

use std::fmt::Write as _;

use equibatch_cli::terminal::ruled_table;

use super::{ArmResult, ArmTest, Comparison, McNemar, MeanStd};
use crate::learn::metrics::MIN_FOR_PERCENT;
use crate::learn::report::table::{confusion, percent};
use crate::learn::text::counted;

/// Mean and standard deviation of every arm, the confusion matrices over all repeats, and McNemar's tests.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut text = ruled_table(&rows(comparison));
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
    }
    text
}

/// Cells of the first table.
pub(super) fn rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let rarest = format!("recall of {} ({})", comparison.rarest, comparison.rarest_images);
    let header = ["", "repeats", &rarest, "balanced accuracy", "error rate"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(comparison.arms.iter().map(|arm| {
        let mean_stds = [
            recall(&arm.rarest_recall, comparison.rarest_images),
            mean_std(&arm.balanced_accuracy),
            mean_std(&arm.error_rate),
        ];
        [arm.name.clone(), arm.seeds.len().to_string()]
            .into_iter()
            .chain(mean_stds)
            .collect()
    }));
    rows
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
        assert_eq!(
            [0.5, 0.0391, 0.000_012].map(probability),
            ["0.500", "0.039", "1e-5"]
        );
    }
}

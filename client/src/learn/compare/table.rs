//! A comparison in a terminal.

use std::fmt::Write as _;

use super::{Comparison, McNemar, Spread, Test};
use crate::learn::report::table::{aligned, confusion_matrix, percent};

/// Mean and spread of the figures of every arm, the confusion matrices over all repeats, and McNemar's tests.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut text = aligned(&rows(comparison));
    for arm in &comparison.arms {
        let repeats = counted(arm.seeds.len(), "repeat");
        let _ = write!(
            text,
            "\n{}, {repeats} together\n\n{}",
            arm.name,
            confusion_matrix(&arm.all_repeats)
        );
    }
    for test in &comparison.tests {
        let _ = writeln!(text, "\nMcNemar's test, {} against {}", test.first, test.second);
        let header = ["", "only the first is right", "only the second is right", "p"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(
            named_tests(comparison, test)
                .into_iter()
                .map(|(name, test)| cells(name, test)),
        );
        let _ = write!(text, "\n{}", aligned(&rows));
    }
    text
}

/// The first table, cell by cell.
pub(super) fn rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let recall = format!("recall of {} ({})", comparison.rarest, comparison.rarest_images);
    let header = ["", "repeats", &recall, "balanced accuracy", "error rate"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(comparison.arms.iter().map(|arm| {
        let spreads = [&arm.rarest_recall, &arm.balanced_accuracy, &arm.error_rate].map(spread);
        [arm.name.clone(), arm.seeds.len().to_string()]
            .into_iter()
            .chain(spreads)
            .collect()
    }));
    rows
}

/// What each of an arm's tests is on, and the test.
pub(super) fn named_tests<'a>(comparison: &Comparison, test: &'a Test) -> Vec<(String, &'a McNemar)> {
    let seeds = comparison.arms.first().map(|arm| &*arm.seeds).unwrap_or_default();
    let named = seeds.iter().map(|seed| format!("seed {seed}")).zip(&test.repeats);
    let together = [
        ("all repeats together".to_owned(), &test.together),
        (
            format!("the same, {} only", comparison.rarest),
            &test.together_on_rarest,
        ),
    ];
    named.chain(together).collect()
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
pub(super) fn spread(spread: &Spread) -> String {
    let mean = percent(spread.mean);
    spread.deviation.map_or_else(
        || mean.clone(),
        |deviation| format!("{mean} ± {:.1}", deviation * 100.0),
    )
}

/// Three digits behind the point, or the order of magnitude below that.
pub(super) fn probability(p: f64) -> String {
    if p < 0.001 {
        format!("{p:.0e}")
    } else {
        format!("{p:.3}")
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_and_probabilities_are_short() {
        let shown = |values: &[f64]| spread(&Spread::of(values.iter().copied().map(Some)));
        assert_eq!(shown(&[0.5, 0.75]), "62.5 % ± 17.7");
        assert_eq!(shown(&[0.5]), "50.0 %");
        assert_eq!(
            [0.5, 0.0391, 0.000_012].map(probability),
            ["0.500", "0.039", "1e-5"]
        );
    }
}

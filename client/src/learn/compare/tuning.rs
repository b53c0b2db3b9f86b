//! The choice of an arm by its score.

use std::path::PathBuf;

use maud::{Markup, html};
use serde::Serialize;

use super::{ArmTest, Comparison, MeanStd, TrainedArm, page, table::mean_std};
use crate::learn::{
    metrics::Metric,
    report::{
        canvas,
        html::{Page, Table},
    },
    text::listed,
};

/// Largest p-value at which arms count as told apart.
const LEVEL: f64 = 0.05;

/// Score of an arm: the metric of its repeats.
#[must_use]
pub fn score(trained: &TrainedArm, metric: &Metric, classes: &[String]) -> MeanStd {
    let repeats = trained.repeats.iter();
    MeanStd::of(repeats.map(|repeat| metric.of(&repeat.predictions.metrics(classes))))
}

/// Indices of `scores` from the best on; of equals, the first comes first. Undefined scores are last.
#[must_use]
pub fn ranked(scores: &[MeanStd], metric: &Metric) -> Vec<usize> {
    let sign = if metric.is_higher_better() { -1.0 } else { 1.0 };
    let cost = |&index: &usize| scores[index].mean.map_or(f64::INFINITY, |mean| sign * mean);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| cost(one).total_cmp(&cost(other)));
    order
}

/// An arm that was considered.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its flags, as [`Arm::described`](super::Arm::described).
    pub flags: String,
    /// Score over the rounds that it was trained for; undefined if none.
    pub score: MeanStd,
    /// Rounds that it was trained for.
    pub rounds: usize,
    /// What became of it: `chosen`, `compared`, and so on.
    pub result: String,
}

/// A search over arms, and its choice.
#[derive(Clone, Debug, Serialize)]
pub struct Tuning {
    /// Name of the chosen arm.
    pub chosen: String,
    /// Its flags.
    pub flags: String,
    /// Why it was chosen.
    pub reason: String,
    /// Folder of its run.
    pub run: PathBuf,
    /// Its model, adjusted as the arm says.
    pub model: PathBuf,
    /// The metric of the scores.
    pub metric: Metric,
    /// The budget in minutes.
    pub minutes: f64,
    /// Every arm, in the order given.
    pub candidates: Vec<Candidate>,
    /// The arms that were trained for all rounds, the chosen one first.
    pub comparison: Comparison,
}

impl Tuning {
    /// Why the first arm of `comparison` was chosen.
    #[must_use]
    pub fn reason(comparison: &Comparison, metric: &Metric, score: &MeanStd) -> String {
        let chosen = comparison.arms.first().map_or("", |arm| &*arm.name);
        let how = match (
            comparison.folds,
            comparison.arms.first().map_or(0, |arm| arm.seeds.len()),
        ) {
            (1, seeds @ 0..=1) => format!("{seeds} seed"),
            (1, seeds) => format!("{seeds} seeds"),
            (folds, _) => format!("cross-validation with {folds} folds"),
        };
        let best = if metric.is_higher_better() {
            "highest"
        } else {
            "lowest"
        };
        let mut reason = format!(
            "{chosen} has the {best} {} of all arms, {}, on {} images with {how}",
            metric.title(),
            shown(metric, score),
            comparison.images
        );
        let is_close = |test: &&ArmTest| test.ensemble.p > LEVEL && test.ensemble_on_rarest.p > LEVEL;
        let close: Vec<&str> = comparison
            .tests
            .iter()
            .filter(is_close)
            .map(|test| &*test.second)
            .collect();
        if !close.is_empty() {
            reason += &format!("; McNemar's test does not tell {} apart from it", listed(&close));
        }
        reason
    }

    /// As a page: the choice, what was tried, and the comparison.
    ///
    /// # Errors
    ///
    /// [`canvas::Error`] if a chart cannot be drawn.
    pub fn page(&self, dataset: &str) -> Result<Page, canvas::Error> {
        let lede = html! {
            p { "On " (dataset) ", " (self.reason) "." }
            p { "Its flags: " code { (self.flags) } ". Its run: " (self.run.display()) ". Its model: " (self.model.display()) "." }
            (page::warning(&self.comparison))
        };
        let page = Page::new("Tuning")
            .lede(lede)
            .with("tried", "What was tried", self.tried());
        page::sections(page, &self.comparison)
    }

    fn tried(&self) -> Markup {
        let caption = format!("Every arm (--minutes {}).", self.minutes);
        let mut table = Table::new(
            &caption,
            &["arm", "flags", "rounds", &self.metric.title(), "result"],
        );
        for candidate in &self.candidates {
            table.row(vec![
                candidate.name.clone(),
                candidate.flags.clone(),
                candidate.rounds.to_string(),
                shown(&self.metric, &candidate.score),
                candidate.result.clone(),
            ]);
        }
        table.markup()
    }

    /// As text: what was tried.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let title = self.metric.title();
        let header = ["", "rounds", &title, "result"].map(str::to_owned).to_vec();
        let rows = self.candidates.iter().map(|candidate| {
            vec![
                candidate.name.clone(),
                candidate.rounds.to_string(),
                shown(&self.metric, &candidate.score),
                candidate.result.clone(),
            ]
        });
        std::iter::once(header).chain(rows).collect()
    }
}

/// A score as its metric is formatted.
fn shown(metric: &Metric, score: &MeanStd) -> String {
    match (metric, score.mean) {
        (_, None) => "-".to_owned(),
        (Metric::Loss | Metric::Auroc | Metric::Matthews, Some(mean)) => format!("{mean:.4}"),
        _ => mean_std(score),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_score_comes_first_and_undefined_ones_last() {
        let scores = [Some(0.5), None, Some(0.9), Some(0.9), Some(0.2)].map(|value| MeanStd::of([value]));
        assert_eq!(ranked(&scores, &Metric::BalancedAccuracy), [2, 3, 0, 4, 1]);
        assert_eq!(ranked(&scores, &Metric::ErrorRate), [4, 0, 2, 3, 1]);
    }
}

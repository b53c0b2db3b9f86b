//! The choice of an arm by its score.

use std::{cmp::Ordering, path::PathBuf};

use maud::{Markup, html};
use serde::Serialize;

use super::{ArmTest, BalancedLoss, Comparison, MeanStd, TrainedArm, page, table::mean_std};
use crate::learn::{
    metrics::Metric,
    report::{
        canvas,
        html::{Page, Table},
    },
    text::listed,
};

/// Title of the column of [`BalancedLoss`].
const LOSS: &str = "balanced log loss";

/// Largest p-value at which arms count as told apart.
const LEVEL: f64 = 0.05;

/// Score of an arm: the metric of its repeats.
#[must_use]
pub fn score(trained: &TrainedArm, metric: &Metric, classes: &[String]) -> MeanStd {
    let repeats = trained.repeats.iter();
    MeanStd::of(repeats.map(|repeat| metric.of(&repeat.predictions.metrics(classes))))
}

/// Arms in the order in which they are preferred.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Indices of the arms, the chosen one first.
    pub order: Vec<usize>,
    /// The arm with the lowest class-balanced log loss.
    pub lowest: Option<usize>,
    /// The class-balanced log loss of each arm, in nats.
    pub losses: Vec<Option<f64>>,
}

impl Ranking {
    /// Ranks arms that were evaluated on the same images.
    ///
    /// With a `metric`, by that; equals by their class-balanced log loss, then by `Arm::handicap`. Without, by the class-balanced log loss, but the
    /// arms that it does not tell apart from the lowest ([`BalancedLoss::is_surely_below`]) come first in the order of their handicaps: a few rare images
    /// must not outweigh what is known from many.
    #[must_use]
    pub fn of(arms: &[TrainedArm], metric: Option<&Metric>, classes: &[String]) -> Self {
        let losses: Vec<Option<BalancedLoss>> = arms.iter().map(BalancedLoss::of).collect();
        let values: Vec<Option<f64>> = losses
            .iter()
            .map(|loss| loss.as_ref().map(BalancedLoss::value))
            .collect();
        let value = |index: usize| values[index].unwrap_or(f64::INFINITY);
        let indices = || 0..arms.len();
        let lowest = indices().min_by(|&one, &other| value(one).total_cmp(&value(other)));
        let lowest = lowest.filter(|&index| losses[index].is_some());
        let cost = |index: usize| {
            let Some(metric) = metric else {
                let best = lowest.and_then(|lowest| losses[lowest].as_ref());
                let is_close = match (best, &losses[index]) {
                    (Some(best), Some(own)) => !best.is_surely_below(own),
                    _ => false,
                };
                let handicap = if is_close {
                    arms[index].arm.handicap().into()
                } else {
                    f64::INFINITY
                };
                return [handicap, value(index), 0.0];
            };
            let sign = if metric.is_higher_better() { -1.0 } else { 1.0 };
            let mean = score(&arms[index], metric, classes).mean;
            let cost = mean.map_or(f64::INFINITY, |mean| sign * mean);
            [cost, value(index), arms[index].arm.handicap().into()]
        };
        let costs: Vec<[f64; 3]> = indices().map(cost).collect();
        let mut order: Vec<usize> = indices().collect();
        order.sort_by(|&one, &other| {
            let pairs = costs[one].iter().zip(&costs[other]);
            pairs.fold(Ordering::Equal, |so_far, (one, other)| {
                so_far.then(one.total_cmp(other))
            })
        });
        Self {
            order,
            lowest,
            losses: values,
        }
    }
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
    /// Class-balanced log loss over the same rounds, in nats: see [`BalancedLoss`].
    pub balanced_loss: Option<f64>,
    /// Rounds that it was trained for.
    pub rounds: usize,
    /// What became of it: `chosen`, `compared`, and so on.
    pub result: String,
}

impl Candidate {
    fn shown_loss(&self) -> String {
        self.balanced_loss
            .map_or_else(|| "-".to_owned(), |loss| format!("{loss:.3}"))
    }
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
    /// What the arm was chosen by.
    pub criterion: String,
    /// The budget in minutes.
    pub minutes: f64,
    /// Every arm, in the order given.
    pub candidates: Vec<Candidate>,
    /// The arms that were trained for all rounds, the chosen one first.
    pub comparison: Comparison,
}

impl Tuning {
    /// What arms are chosen by: `metric` if it was given.
    #[must_use]
    pub fn criterion_of(metric: Option<&Metric>) -> String {
        match metric {
            Some(metric) => format!("the {}; of equals, the lowest class-balanced log loss", metric.title()),
            None => "the lowest class-balanced log loss at each model's best temperature, which a few rare images change by degrees and not by whole \
                     recalls; of arms that it does not tell apart (95 % interval of the paired difference), adjusted before other corrections before \
                     natural, in the order of their balanced accuracy in measurements on photographs (BENCHMARKS.md)"
                .to_owned(),
        }
    }

    /// Why the first arm of `comparison` was chosen; `candidates` are all arms, `lowest` the name of that with the lowest loss, and `metric` what was given
    /// to choose by.
    #[must_use]
    pub fn reason(
        comparison: &Comparison,
        (candidates, lowest): (&[Candidate], &str),
        metric: Option<&Metric>,
    ) -> String {
        let chosen = comparison.arms.first().map_or("", |arm| &*arm.name);
        let named = |name: &str| candidates.iter().find(|candidate| candidate.name == name);
        let seeds = comparison.arms.first().map_or(0, |arm| arm.seeds.len());
        let how = match (comparison.folds, seeds) {
            (1, 0..=1) => format!("{seeds} seed"),
            (1, _) => format!("{seeds} seeds"),
            (folds, _) => format!("cross-validation with {folds} folds"),
        };
        let on = format!("on {} images with {how}", comparison.images);
        if comparison.arms.len() < 2 {
            let images = comparison.images;
            return format!(
                "{chosen}, the first of the arms, is the only one that there was time to evaluate, on {images} images; more --minutes compare more"
            );
        }
        let loss = |name: &str| {
            let loss = named(name).and_then(|candidate| candidate.balanced_loss);
            loss.map_or_else(|| "undefined".to_owned(), |loss| format!("{loss:.3}"))
        };
        let mut reason = match metric {
            Some(metric) => {
                let best = if metric.is_higher_better() {
                    "highest"
                } else {
                    "lowest"
                };
                let score =
                    named(chosen).map_or_else(String::new, |candidate| shown(metric, &candidate.score));
                format!(
                    "{chosen} has the {best} {} of all arms, {score}, {on}",
                    metric.title()
                )
            }
            None if chosen == lowest => {
                format!(
                    "{chosen} has the lowest class-balanced log loss of all arms, {}, {on}",
                    loss(chosen)
                )
            }
            None => format!(
                "{chosen} has a class-balanced log loss of {}, {on}, which does not tell it apart from the lowest, that of {lowest} ({}), and its way of \
                 correcting class frequencies did better in measurements on photographs",
                loss(chosen),
                loss(lowest)
            ),
        };
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
            p { "Chosen by " (self.criterion) "." }
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
            &["arm", "flags", "rounds", &self.metric.title(), LOSS, "result"],
        );
        for candidate in &self.candidates {
            table.row(vec![
                candidate.name.clone(),
                candidate.flags.clone(),
                candidate.rounds.to_string(),
                shown(&self.metric, &candidate.score),
                candidate.shown_loss(),
                candidate.result.clone(),
            ]);
        }
        table.markup()
    }

    /// As text: what was tried.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let title = self.metric.title();
        let header = ["", "rounds", &title, LOSS, "result"].map(str::to_owned).to_vec();
        let rows = self.candidates.iter().map(|candidate| {
            vec![
                candidate.name.clone(),
                candidate.rounds.to_string(),
                shown(&self.metric, &candidate.score),
                candidate.shown_loss(),
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
    use super::{super::balanced_loss::tests::arm, *};

    fn classes() -> [String; 2] {
        ["birds", "others"].map(str::to_owned)
    }

    /// The names of the arms from the best on.
    fn ranked<'a>(arms: &'a [TrainedArm], metric: Option<&Metric>) -> Vec<&'a str> {
        let ranking = Ranking::of(arms, metric, &classes());
        ranking
            .order
            .iter()
            .map(|&index| &*arms[index].arm.name)
            .collect()
    }

    /// One rare image, which all arms classify as well as each other, or natural alone.
    #[test]
    fn one_rare_image_does_not_make_natural_win() {
        let others = [-4.0, -3.0, -5.0, -2.0, -4.0, -3.0, -1.0, -4.0];
        for of_natural in [-2.0, 0.5, 3.0] {
            for of_adjusted in [-2.0, -0.5, 0.5] {
                let more = others.map(|odds| odds + 0.5);
                let arms = [
                    arm("natural", &[of_natural], &others),
                    arm("oversample", &[of_natural], &others),
                    arm("adjusted", &[of_adjusted], &more),
                ];
                assert_eq!(ranked(&arms, None), ["adjusted", "oversample", "natural"]);
            }
        }
        // Equal in what was asked for: by the loss.
        let arms = [
            arm("natural", &[-2.0], &others),
            arm("adjusted", &[-0.1], &others),
        ];
        assert_eq!(
            ranked(&arms, Some(&Metric::BalancedAccuracy)),
            ["adjusted", "natural"]
        );
    }

    #[test]
    fn an_arm_that_is_surely_better_is_chosen_whatever_its_way() {
        let others = [-4.0, -3.0, -5.0, -2.0, -4.0, -3.0, -1.0, -4.0];
        let good = [2.0, 1.0, 3.0, 1.5, 2.0, 0.5];
        let poor = [-1.0, -2.0, -0.5, -1.5, 0.5, -3.0];
        let arms = [arm("adjusted", &poor, &others), arm("natural", &good, &others)];
        assert_eq!(ranked(&arms, None), ["natural", "adjusted"]);
        let ranking = Ranking::of(&arms, None, &classes());
        assert_eq!(ranking.lowest, Some(1));
        assert!(ranking.losses[1] < ranking.losses[0]);
    }

    #[test]
    fn the_best_score_comes_first_and_undefined_ones_last() {
        let empty = arm("weighted", &[], &[]);
        let arms = [
            arm("natural", &[-0.5, 1.0], &[-1.0; 4]),
            empty,
            arm("oversample", &[1.0, 1.0], &[-1.0; 4]),
            arm("adjusted", &[1.0, 1.0], &[-1.0, 1.0, 1.0, -1.0]),
        ];
        for (metric, expected) in [
            (
                Metric::BalancedAccuracy,
                ["oversample", "natural", "adjusted", "weighted"],
            ),
            (
                Metric::ErrorRate,
                ["oversample", "natural", "adjusted", "weighted"],
            ),
            (
                Metric::Recall("birds".to_owned()),
                ["oversample", "adjusted", "natural", "weighted"],
            ),
        ] {
            assert_eq!(ranked(&arms, Some(&metric)), expected, "{metric}");
        }
        assert_eq!(ranked(&arms, None).last(), Some(&"weighted"));
    }
}

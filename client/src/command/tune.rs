//! `client tune`: the best of several arms on the validation images, within a number of minutes.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use equibatch_cli::terminal::ruled_table;
use equibatch_engine::dataset::FOLDS;

use super::{
    Exit,
    compare::{Outcome, Round, Study, fold_name, named_arms, trained_arm, write_files},
};
use crate::{
    args::{Folds, Train, Tune},
    config::{UsageError, session_options},
    learn::{
        compare::{Arm, Candidate, Comparison, MeanStd, TrainedArm, Tuning, ranked, score, table},
        export::{ExportSpec, export},
        metrics::MIN_FOR_PERCENT,
        progress::Output,
        run::RunFolder,
    },
    weights::Source,
};
use equibatch_stream::Split;
use equibatch_training::program::OPSET;

/// Arms for a network from random weights.
const FROM_SCRATCH: [&str; 5] = ["natural", "natural+prior", "oversample", "weighted", "adjusted"];
/// Arms for a pretrained network.
const PRETRAINED: [&str; 8] = [
    "natural+probe",
    "natural+probe+prior",
    "adjusted+probe",
    "oversample+probe",
    "natural+fine-tuned",
    "natural+fine-tuned+prior",
    "adjusted+fine-tuned",
    "oversample+fine-tuned",
];
/// Most seeds without cross-validation.
const SEEDS: u32 = 3;
/// Fewest arms that are kept if there is no time for all.
const MIN_ARMS: usize = 2;

/// Trains the arms round by round: a fold, or a seed. If there is no time for all remaining rounds, the worse half of the arms is dropped after a
/// round. Then the best arm is trained on the whole training split, unless it was before.
pub(super) fn run(args: &Tune, is_verbose: bool) -> Result<Exit> {
    let arms = arms(args)?;
    let mut study = Study::open(&args.train, &arms, ("tune", Split::Valid), is_verbose)?;
    if !args.eval_metric.exists_for(&study.classes()) {
        let classes = study.classes().join(", ");
        let metric = &args.eval_metric;
        return Err(UsageError(format!(
            "--eval-metric {metric}: no such metric for the classes {classes}"
        ))
        .into());
    }
    let is_cross_validated = has_folds(args.folds, &study)?;
    let seeds = if is_cross_validated { 1 } else { SEEDS };
    let rounds = Round::all(study.seed, seeds, is_cross_validated);
    Output::Stderr.print_line(&format!(
        "{}; {} arms, {} rounds ({}), --minutes {}",
        study.steps_message(),
        arms.len(),
        rounds.len(),
        if is_cross_validated { "folds" } else { "seeds" },
        args.minutes
    ));
    study.show_progress(rounds.len());
    let mut search = Search::new(&study, args, rounds);
    if !search.run()? {
        return Ok(study.interrupted());
    }
    let Search {
        candidates, rounds, ..
    } = search;
    let Some((chosen, comparison, candidates)) = choose(&study, args, &candidates)? else {
        return Err(UsageError(format!(
            "--eval-metric {} is undefined for every arm",
            args.eval_metric
        ))
        .into());
    };
    // Without folds, the first round's model is trained on the whole training split already.
    let fold = None;
    let seed = rounds.first().map_or(study.seed, |round| round.seed);
    let Some(last) = study.run(&study.arms[chosen], Round { seed, fold })? else {
        return Ok(study.interrupted());
    };
    study.end_progress();
    finish(&study, args, (chosen, comparison, candidates), &last)
}

/// The arms to choose from.
fn arms(args: &Tune) -> Result<Vec<Arm>, UsageError> {
    let network = &args.train.setup.network;
    let is_pretrained = network.model.is_some()
        || network.load.is_some()
        || network
            .weights
            .as_ref()
            .is_some_and(|weights| *weights != Source::None);
    // A user who says what is frozen has decided that.
    let is_open = network.frozen().is_none() && !network.freeze_norms;
    let names: Vec<String> = match (args.arms.as_slice(), is_pretrained && is_open) {
        ([], true) => PRETRAINED.map(str::to_owned).to_vec(),
        ([], false) => FROM_SCRATCH.map(str::to_owned).to_vec(),
        (given, _) => given.to_vec(),
    };
    named_arms(&names, &args.arm)
}

/// Whether to cross-validate.
fn has_folds(when: Folds, study: &Study<'_>) -> Result<bool> {
    let of_rarest = study.rarest.labels.iter();
    let images = of_rarest.map(|&label| study.description.classes[label].images(Split::Valid.name()));
    let least = images.min().unwrap_or(0);
    let servers = &study.trainer.context.servers;
    let describe = || servers.describe(&fold_name(&study.description.name, 1));
    match when {
        Folds::Off => Ok(false),
        Folds::On => Ok(describe().map(|_| true)?),
        Folds::Auto if u64::from(least) >= MIN_FOR_PERCENT => Ok(false),
        Folds::Auto => Ok(describe()
            .inspect_err(|error| {
                tracing::warn!(
                    "no cross-validation, although {} has {least} validation images: {error}",
                    study.rarest.names
                );
            })
            .is_ok()),
    }
}

/// An arm in the search.
#[derive(Clone, Debug, Default)]
struct Trial {
    outcomes: Vec<Outcome>,
    /// Round after which it was dropped.
    dropped: Option<usize>,
}

/// The search, while it runs.
struct Search<'a> {
    study: &'a Study<'a>,
    args: &'a Tune,
    rounds: Vec<Round>,
    /// In the order of the study's arms.
    candidates: Vec<Trial>,
    began: Instant,
    /// Time and number of the trainings so far.
    spent: (Duration, u32),
}

impl<'a> Search<'a> {
    fn new(study: &'a Study<'a>, args: &'a Tune, rounds: Vec<Round>) -> Self {
        Self {
            study,
            args,
            rounds,
            candidates: vec![Trial::default(); study.arms.len()],
            began: Instant::now(),
            spent: (Duration::ZERO, 0),
        }
    }

    /// Runs round by round until the time is up; returns whether it was not interrupted.
    fn run(&mut self) -> Result<bool> {
        for (number, round) in (1..).zip(self.rounds.clone()) {
            for index in 0..self.candidates.len() {
                if self.candidates[index].dropped.is_some() {
                    continue;
                }
                let arm = &self.study.arms[index];
                let was_finished = self.study.is_finished(arm, round);
                if !was_finished && !self.has_time_for(1) {
                    return Ok(true);
                }
                let began = Instant::now();
                let Some(outcome) = self.study.run(arm, round)? else {
                    return Ok(false);
                };
                if !was_finished {
                    self.spent = (self.spent.0 + began.elapsed(), self.spent.1 + 1);
                }
                self.candidates[index].outcomes.push(outcome);
            }
            self.drop_worse(number);
        }
        Ok(true)
    }

    /// Whether `trainings` trainings and a final one end in time, if they take as long as those before on average.
    fn has_time_for(&self, trainings: usize) -> bool {
        let (time, count) = self.spent;
        let each = time.checked_div(count).unwrap_or(Duration::ZERO);
        let is_final_missing = self.rounds.iter().any(|round| round.fold.is_some());
        let trainings = u32::try_from(trainings).unwrap_or(u32::MAX) + u32::from(is_final_missing);
        let budget = Duration::from_secs_f64(self.args.minutes * 60.0);
        count == 0 || self.began.elapsed() + each.saturating_mul(trainings) <= budget
    }

    /// Drops the worse half of the arms after round `number` if there is no time to train all in the remaining rounds.
    fn drop_worse(&mut self, number: usize) {
        let remaining = &self.rounds[number..];
        let alive: Vec<usize> = (0..self.candidates.len())
            .filter(|&index| self.candidates[index].dropped.is_none())
            .collect();
        let trainings: usize = remaining
            .iter()
            .map(|&round| {
                self.study
                    .missing(alive.iter().map(|&index| &self.study.arms[index]), round)
            })
            .sum();
        if alive.len() <= MIN_ARMS || self.has_time_for(trainings) {
            return;
        }
        let classes = self.study.classes();
        let score = |&index: &usize| {
            let trained = trained_arm(&self.study.arms[index].arm, &self.candidates[index].outcomes);
            score(&trained, &self.args.eval_metric, &classes)
        };
        let scores: Vec<MeanStd> = alive.iter().map(score).collect();
        let kept = alive.len().div_ceil(2).max(MIN_ARMS);
        for &place in &ranked(&scores, &self.args.eval_metric)[kept..] {
            self.candidates[alive[place]].dropped = Some(number);
        }
    }
}

/// The index of the best arm, the comparison of those with the most complete rounds, and what became of each; `None` if no score is defined.
fn choose(
    study: &Study<'_>,
    args: &Tune,
    trials: &[Trial],
) -> Result<Option<(usize, Comparison, Vec<Candidate>)>> {
    let metric = &args.eval_metric;
    let classes = study.classes();
    let is_alive = |trial: &&Trial| trial.dropped.is_none() && !trial.outcomes.is_empty();
    // All arms are compared on the same images: rounds that are not complete do not count.
    let rounds = trials
        .iter()
        .filter(is_alive)
        .map(|trial| trial.outcomes.len())
        .min();
    let rounds = rounds.unwrap_or(0);
    let trained = |index: usize| {
        let outcomes = &trials[index].outcomes;
        trained_arm(&study.arms[index].arm, &outcomes[..rounds.min(outcomes.len())])
    };
    let all: Vec<TrainedArm> = (0..trials.len()).map(trained).collect();
    let scores: Vec<MeanStd> = all
        .iter()
        .map(|trained| score(trained, metric, &classes))
        .collect();
    let alive: Vec<usize> = (0..trials.len())
        .filter(|&index| is_alive(&&trials[index]))
        .collect();
    let of_alive: Vec<MeanStd> = alive.iter().map(|&index| scores[index].clone()).collect();
    let order = ranked(&of_alive, metric).into_iter().map(|place| alive[place]);
    let order: Vec<usize> = order.collect();
    let Some(&chosen) = order.first().filter(|&&index| scores[index].mean.is_some()) else {
        return Ok(None);
    };
    let compared: Vec<TrainedArm> = order.iter().map(|&index| all[index].clone()).collect();
    let mut comparison = Comparison::new(&compared, &classes, &study.rarest)?;
    if trials[chosen]
        .outcomes
        .iter()
        .any(|outcome| outcome.round.fold.is_some())
    {
        comparison.folds = FOLDS;
    }
    let candidates = trials
        .iter()
        .zip(&scores)
        .enumerate()
        .map(|(index, (trial, score))| {
            let result = match trial.dropped {
                _ if index == chosen => "chosen".to_owned(),
                Some(round) => {
                    format!("dropped after round {round}: among the worse half, and no time for all")
                }
                None if trial.outcomes.is_empty() => "not tried: the time was up".to_owned(),
                None => "compared".to_owned(),
            };
            let arm = &study.arms[index].arm;
            Candidate {
                name: arm.name.clone(),
                flags: arm.described(),
                score: score.clone(),
                rounds: rounds.min(trial.outcomes.len()),
                result,
            }
        });
    Ok(Some((chosen, comparison, candidates.collect())))
}

/// Exports the chosen model, and writes and prints the choice.
fn finish(
    study: &Study<'_>,
    args: &Tune,
    (chosen, mut comparison, candidates): (usize, Comparison, Vec<Candidate>),
    last: &Outcome,
) -> Result<Exit> {
    let arm = &study.arms[chosen].arm;
    if study.description.images(Split::Test) > 0 {
        comparison.holdout = Some(study.holdout([(arm, last)])?);
    }
    let model = study.folder.join("model.onnx");
    export_model(study, &args.train, (arm, &last.run), &model)?;
    let tuning = Tuning {
        chosen: arm.name.clone(),
        flags: arm.described(),
        reason: Tuning::reason(&comparison, &args.eval_metric, &candidates[chosen].score),
        run: last.run.clone(),
        model,
        metric: args.eval_metric.clone(),
        minutes: args.minutes,
        candidates,
        comparison,
    };
    let json = serde_json::to_string_pretty(&tuning).expect("a choice is serialisable");
    let html = tuning.page(&study.description.name)?.to_html();
    write_files(&study.folder, ("tune", &json, &html), &tuning.comparison)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{json}")?;
        return Ok(Exit::Done);
    }
    write!(out, "{}", ruled_table(&tuning.rows()))?;
    if let Some(warning) = table::too_few(&tuning.comparison) {
        writeln!(out, "\nwarning: {warning}")?;
    }
    let (run, model, folder) = (
        tuning.run.display(),
        tuning.model.display(),
        study.folder.display(),
    );
    writeln!(
        out,
        "\nchosen: {}\nits flags: {}\nits run: {run}; its model: {model}\nwritten: {folder}/tune.html, {folder}/tune.json and pictures",
        tuning.reason, tuning.flags
    )?;
    Ok(Exit::Done)
}

/// Writes the model of a run to `path`, adjusted as its arm says.
fn export_model(study: &Study<'_>, train: &Train, (arm, run): (&Arm, &PathBuf), path: &Path) -> Result<()> {
    let spec = ExportSpec {
        fuse_bn: false,
        pixels: None,
        opset: OPSET,
        prior: arm.prior.clone().map(|prior| (prior, 1.0)),
        temperature: None,
        threshold: None,
    };
    let from = RunFolder::open(run)?.0.model_path();
    let runtime = (&study.trainer.context.runtime, &session_options(&train.execution));
    export(runtime, &from, &spec, path)?;
    Ok(())
}

//! `client tune`: the best of several arms on the validation images, within a number of minutes.

mod search;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use equibatch_cli::terminal::ruled_table;
use equibatch_engine::dataset::FOLDS;

use self::search::{Search, Trial};
use super::{
    Exit,
    compare::{Outcome, Round, Study, Validation, named_arms, trained_arm, write_files},
};
use crate::{
    args::{Folds, Train, Tune},
    config::{UsageError, session_options},
    learn::{
        compare::{
            Arm, BalancedLoss, Candidate, Comparison, MeanStd, Ranking, TrainedArm, Tuning, score, table,
        },
        export::{ExportSpec, export},
        metrics::{MIN_FOR_PERCENT, Metric},
        progress::Output,
        run::RunFolder,
    },
    weights::Source,
};
use equibatch_stream::Split;
use equibatch_training::program::OPSET;

/// Arms for a network from random weights, in the order in which they are trained: by [`Arm::handicap`].
const FROM_SCRATCH: [&str; 5] = ["adjusted", "natural+prior", "oversample", "weighted", "natural"];
/// Arms for a pretrained network: first those that take seconds, each by [`Arm::handicap`].
const PRETRAINED: [&str; 9] = [
    "adjusted+probe",
    "adjusted+cosine+probe",
    "natural+probe+prior",
    "oversample+probe",
    "natural+probe",
    "adjusted+fine-tuned",
    "natural+fine-tuned+prior",
    "oversample+fine-tuned",
    "natural+fine-tuned",
];
/// Most seeds without cross-validation.
const SEEDS: u32 = 3;

/// Trains the arms: with cross-validation one after another, each for all folds; otherwise round by round, one per seed, where the worse half of the
/// arms is dropped after a round if there is no time for all. Then the best arm is trained on the whole training split, unless it was before; after
/// cross-validation on the validation images, too, unless its training needs them.
pub(super) fn run(args: &Tune, is_verbose: bool) -> Result<Exit> {
    let arms = arms(args)?;
    let mut study = Study::open(&args.train, &arms, ("tune", Split::Valid), is_verbose)?;
    let metric = args.eval_metric.as_ref();
    if let Some(metric) = metric.filter(|metric| !metric.exists_for(&study.classes())) {
        let classes = study.classes().join(", ");
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
    let Some(choice) = choose(&study, args, &candidates)? else {
        let metric = metric.map_or_else(
            || "the class-balanced log loss".to_owned(),
            |metric| format!("--eval-metric {metric}"),
        );
        return Err(UsageError(format!("{metric} is undefined for every arm")).into());
    };
    // Without folds, the first round's model is trained on the whole training split already.
    let arm = &study.arms[choice.arm];
    let validation = match is_cross_validated && !arm.uses_validation() {
        true => Validation::Absent,
        false => Validation::Split,
    };
    let seed = rounds.first().map_or(study.seed, |round| round.seed);
    let Some(last) = study.run(arm, Round { seed, validation })? else {
        return Ok(study.interrupted());
    };
    study.end_progress();
    finish(&study, args, choice, &last)
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
    let describe = || servers.describe(&Validation::Fold(1).dataset(&study.description.name));
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

/// The chosen arm, and what it was chosen from.
struct Choice {
    /// Its index.
    arm: usize,
    reason: String,
    metric: Metric,
    comparison: Comparison,
    candidates: Vec<Candidate>,
}

/// Chooses among the arms with the most complete rounds; `None` if no score is defined.
fn choose(study: &Study<'_>, args: &Tune, trials: &[Trial]) -> Result<Option<Choice>> {
    let given = args.eval_metric.as_ref();
    let metric = given.cloned().unwrap_or(Metric::BalancedAccuracy);
    let classes = study.classes();
    // An arm that was stopped is compared if there is no other.
    let is_any_whole = trials
        .iter()
        .any(|trial| trial.dropped.is_none() && !trial.outcomes.is_empty());
    let is_alive = |trial: &Trial| (trial.dropped.is_none() || !is_any_whole) && !trial.outcomes.is_empty();
    let alive: Vec<usize> = (0..trials.len())
        .filter(|&index| is_alive(&trials[index]))
        .collect();
    // All arms are compared on the same images: rounds that are not complete do not count.
    let rounds = alive.iter().map(|&index| trials[index].outcomes.len()).min();
    let rounds = rounds.unwrap_or(0);
    let trained = |index: usize| {
        let outcomes = &trials[index].outcomes;
        trained_arm(&study.arms[index].arm, &outcomes[..rounds.min(outcomes.len())])
    };
    let all: Vec<TrainedArm> = (0..trials.len()).map(trained).collect();
    let compared: Vec<TrainedArm> = alive.iter().map(|&index| all[index].clone()).collect();
    let ranking = Ranking::of(&compared, given, &classes);
    let order: Vec<usize> = ranking.order.iter().map(|&place| alive[place]).collect();
    let scores: Vec<MeanStd> = all
        .iter()
        .map(|trained| score(trained, &metric, &classes))
        .collect();
    let Some(&chosen) = order.first().filter(|&&index| match given {
        Some(_) => scores[index].mean.is_some(),
        None => ranking.lowest.is_some(),
    }) else {
        return Ok(None);
    };
    let ordered: Vec<TrainedArm> = order.iter().map(|&index| all[index].clone()).collect();
    let mut comparison = Comparison::new(&ordered, &classes, &study.rarest)?;
    if trials[chosen]
        .outcomes
        .iter()
        .any(|outcome| outcome.round.has_fold())
    {
        comparison.folds = FOLDS;
    }
    let candidates = trials.iter().enumerate().map(|(index, trial)| {
        let result = match &trial.dropped {
            _ if index == chosen => "chosen",
            Some(reason) => reason,
            None if trial.outcomes.is_empty() => "not tried: the time was up",
            None => "compared",
        };
        let arm = &study.arms[index].arm;
        Candidate {
            name: arm.name.clone(),
            flags: arm.described(),
            score: scores[index].clone(),
            balanced_loss: BalancedLoss::of(&all[index]).map(|loss| loss.value()),
            rounds: rounds.min(trial.outcomes.len()),
            result: result.to_owned(),
        }
    });
    let candidates: Vec<Candidate> = candidates.collect();
    let lowest = ranking.lowest.map_or("", |place| &*compared[place].arm.name);
    let reason = Tuning::reason(&comparison, (&candidates, lowest), given);
    Ok(Some(Choice {
        arm: chosen,
        reason,
        metric,
        comparison,
        candidates,
    }))
}

/// Exports the chosen model, and writes and prints the choice.
fn finish(study: &Study<'_>, args: &Tune, choice: Choice, last: &Outcome) -> Result<Exit> {
    let Choice {
        arm,
        reason,
        metric,
        mut comparison,
        candidates,
    } = choice;
    let arm = &study.arms[arm].arm;
    if study.description.images(Split::Test) > 0 {
        comparison.holdout = Some(study.holdout([(arm, last)])?);
    }
    let model = study.folder.join("model.onnx");
    export_model(study, &args.train, (arm, &last.run), &model)?;
    let tuning = Tuning {
        chosen: arm.name.clone(),
        flags: arm.described(),
        reason,
        run: last.run.clone(),
        model,
        metric,
        criterion: Tuning::criterion_of(args.eval_metric.as_ref()),
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
        "\nchosen by {}\nchosen: {}\nits flags: {}\nits run: {run}; its model: {model}\nwritten: {folder}/tune.html, {folder}/tune.json and pictures",
        tuning.criterion, tuning.reason, tuning.flags
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

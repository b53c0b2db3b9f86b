//! `client compare`: arms trained with the same seeds, and evaluated on the same images.

mod arms;
mod evaluation;
mod round;
mod study;

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Result;
use equibatch_cli::files;
use equibatch_engine::dataset::FOLDS;

use super::Exit;
use crate::{
    args::Compare,
    config::UsageError,
    learn::{
        compare::{Arm, Comparison, OwnArm, file_name, page, table},
        progress::Output,
        report::confusion_plot::ConfusionPlot,
        text::counted,
    },
};
use equibatch_stream::Split;

pub(super) use round::{Outcome, Round, Validation, trained_arm};
pub(super) use study::Study;

/// Trains every arm with every seed, evaluates all runs on the same images, and compares them. Runs that are complete in the same folder are
/// not repeated.
pub(super) fn run(args: &Compare, is_verbose: bool) -> Result<Exit> {
    let arms = named_arms(&args.arms, &args.arm)?;
    if args.folds && args.split != Split::Valid {
        return Err(UsageError(format!(
            "--folds and --split {} cannot be used together",
            args.split
        ))
        .into());
    }
    let mut study = Study::open(&args.train, &arms, ("compare", args.split), is_verbose)?;
    Output::Stderr.print_line(&study.steps_message());
    let rounds = Round::all(study.seed, args.repeats, args.folds);
    study.show_progress(rounds.len());
    let mut outcomes: Vec<Vec<Outcome>> = vec![vec![]; arms.len()];
    for &round in &rounds {
        for (arm, outcomes) in study.arms.iter().zip(&mut outcomes) {
            let Some(outcome) = study.run(arm, round)? else {
                return Ok(study.interrupted());
            };
            outcomes.push(outcome);
        }
    }
    study.end_progress();
    let trained = arms.iter().zip(&outcomes);
    let trained: Vec<_> = trained
        .map(|(arm, outcomes)| trained_arm(arm, outcomes))
        .collect();
    let mut comparison = Comparison::new(&trained, &study.classes(), &study.rarest)?;
    if args.folds {
        comparison.folds = FOLDS;
    } else if args.split != Split::Test && study.description.images(Split::Test) > 0 {
        let first = arms.iter().zip(&outcomes);
        let first = first.filter_map(|(arm, outcomes)| Some((arm, outcomes.first()?)));
        comparison.holdout = Some(study.holdout(first)?);
    }
    let page = page::page(&comparison, &study.description.name)?;
    let json = serde_json::to_string_pretty(&comparison).expect("a comparison is serialisable");
    write_files(&study.folder, ("compare", &json, &page.to_html()), &comparison)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{json}")?;
    } else {
        let shown = study.folder.display();
        writeln!(
            out,
            "{}\nwritten: {shown}/compare.html, {shown}/compare.json and pictures",
            table::text(&comparison)
        )?;
    }
    Ok(Exit::Done)
}

/// The arms `names`, and those of `own` that are not among them.
pub(super) fn named_arms(names: &[String], own: &[OwnArm]) -> Result<Vec<Arm>, UsageError> {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    for arm in own {
        if own.iter().filter(|other| other.name == arm.name).count() > 1 {
            return Err(UsageError(format!("--arm {} is given twice", arm.name)));
        }
        if !names.contains(&&*arm.name) {
            names.push(&arm.name);
        }
    }
    let arms = names.iter().map(|name| Arm::named(name, own));
    let arms = arms.collect::<Result<Vec<Arm>, _>>();
    let arms = arms.map_err(|error| UsageError(error.to_string()))?;
    let is_repeated = |(place, arm): (usize, &Arm)| {
        let mut before = arms[..place].iter();
        before.any(|other| (&other.flags, &other.prior, other.is_tta) == (&arm.flags, &arm.prior, arm.is_tta))
    };
    if arms.len() < 2 || arms.iter().enumerate().any(is_repeated) {
        return Err(UsageError(
            "--arms needs at least two different methods".to_owned(),
        ));
    }
    Ok(arms)
}

/// Writes `NAME.json` and `NAME.html`, and the pictures of a comparison.
pub(super) fn write_files(
    folder: &Path,
    (name, json, html): (&str, &str, &str),
    comparison: &Comparison,
) -> Result<(), anyhow::Error> {
    let write = |extension: &str, text: &str| {
        files::write(&folder.join(format!("{name}.{extension}")), text.as_bytes())
    };
    write("json", &format!("{json}\n"))?;
    write("html", html)?;
    pictures(folder, comparison)
}

fn pictures(folder: &Path, comparison: &Comparison) -> Result<()> {
    page::chart(comparison)?.save(folder)?;
    for arm in &comparison.arms {
        let (images, runs) = (arm.all_repeats.images, counted(arm.seeds.len(), "run"));
        let title = format!("{}: {} of {runs}", arm.name, counted(images, "image"));
        for extension in ["png", "svg"] {
            let name = format!("confusion-{}.{extension}", file_name(&arm.name));
            ConfusionPlot::new(&arm.all_repeats, &title).save(&folder.join(name))?;
        }
    }
    Ok(())
}

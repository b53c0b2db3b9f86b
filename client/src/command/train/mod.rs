//! `client train`: one run, or the stages of an experiment.

pub(super) mod experiment;
mod messages;
mod single_run;

use std::path::Path;

use anyhow::Result;

pub(super) use self::single_run::{RunSettings, Trainer};
use super::{Exit, plan::RunPlan};
use crate::{
    args::{Train, experiment as file},
    config::{UsageError, check_head, check_loss_and_optimizer, check_precision},
    learn::progress::Output,
};

/// Trains a new run or experiment, or resumes one.
pub(super) fn run(args: &Train) -> Result<Exit> {
    // Usage errors are reported before any server is contacted.
    let stages = match &args.experiment {
        Some(path) => file::read(path)?,
        None if args.stage.is_some() => file::read(Path::new(file::REFERENCE))?,
        None => vec![],
    };
    let mut plans: Vec<RunPlan> = stages
        .iter()
        .map(|stage| RunPlan::of_stage(&stage.name, &[&stage.train, args]))
        .collect();
    if let Some(wanted) = &args.stage {
        plans = vec![chosen(plans, wanted)?];
    }
    if args.save.is_some() && plans.len() > 1 {
        let reason = "--save cannot be used with several stages: set `save` in a stage of the file instead";
        return Err(UsageError(reason.to_owned()).into());
    }
    if plans.is_empty() && args.resume.is_none() {
        plans = vec![RunPlan::typed(args)?];
    }
    for plan in &plans {
        check_precision(plan.config.precision, args.execution.device)?;
        check_head(&plan.config)?;
        check_loss_and_optimizer(&plan.config)?;
    }
    let trainer = Trainer::new(args, Output::Stdout)?;
    match (&args.resume, plans.as_slice()) {
        (Some(path), _) if experiment::is_at(path) => experiment::resume(&trainer, args, path),
        (Some(path), _) => trainer.resume(args, path),
        (None, [plan]) if args.stage.is_some() || args.experiment.is_none() => {
            trainer.start(plan, args.out.as_deref(), None)
        }
        (None, plans) => experiment::start(&trainer, &experiment::folder(args), plans),
    }
}

/// The stage with the name `wanted`, or with that number, from 1.
fn chosen(plans: Vec<RunPlan>, wanted: &str) -> Result<RunPlan, UsageError> {
    let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
    let number = wanted.parse().ok();
    let found = (1_usize..)
        .zip(plans)
        .find(|(place, plan)| plan.name == wanted || Some(*place) == number);
    found.map(|(_, plan)| plan).ok_or_else(|| {
        UsageError(format!(
            "--stage {wanted}: expected one of {}, or a number from 1",
            names.join(", ")
        ))
    })
}

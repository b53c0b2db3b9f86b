//! `client train`: one run, or the stages of an experiment.

pub(super) mod experiment;
mod messages;
mod single_run;

use std::path::Path;

use anyhow::Result;

pub(super) use self::single_run::{RunSettings, Trainer};
use super::{Exit, plan::RunPlan};
use crate::{
    args::{
        Train,
        experiment::{self as file, Stage},
    },
    config::{UsageError, check_head, check_loss_and_optimizer, check_precision, check_typed},
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
    let mut plans: Vec<RunPlan> = match &args.stage {
        // Flags beside a single stage are meant for it.
        Some(wanted) => {
            let stage = chosen(&stages, wanted)?;
            vec![RunPlan::of_single_stage(&stage.name, &[&stage.train, args])?]
        }
        None => {
            check_typed(&stages, args)?;
            let plan = |stage: &Stage| {
                let arguments: Vec<&Train> = stage.overridden(args).collect();
                RunPlan::of_stage(&stage.name, &arguments)
            };
            stages.iter().map(plan).collect()
        }
    };
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
fn chosen<'a>(stages: &'a [Stage], wanted: &str) -> Result<&'a Stage, UsageError> {
    let number = wanted.parse().ok();
    let found = (1_usize..)
        .zip(stages)
        .find(|(place, stage)| stage.name == wanted || Some(*place) == number);
    found.map(|(_, stage)| stage).ok_or_else(|| {
        let names: Vec<&str> = stages.iter().map(|stage| &*stage.name).collect();
        UsageError(format!(
            "--stage {wanted}: expected one of {}, or a number from 1",
            names.join(", ")
        ))
    })
}

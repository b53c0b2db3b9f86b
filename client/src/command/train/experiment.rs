//! Experiments: several stages in sequence, each a run in its own folder that starts from the checkpoint of the previous one.

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use anyhow::Result;
use equibatch_cli::files::{self, cannot_write};

use super::single_run::{RunSettings, Trainer};
use crate::{
    args::Train,
    command::{
        Exit,
        plan::{InitSource, RunPlan},
    },
    config::{new_folder, resume_conflicts},
    learn::{
        checkpoint::CHECKPOINT,
        run::{self, RunFolder},
    },
};

/// File with the plans of the stages.
const FILE: &str = "experiment.json";

/// Whether `path` is the folder of an experiment.
pub(in crate::command) fn is_at(path: &Path) -> bool {
    path.join(FILE).exists()
}

/// The folder of the results of `args`: --out, or a new one below runs/.
pub(super) fn folder(args: &Train) -> PathBuf {
    let stem = args.experiment.as_deref().and_then(Path::file_stem);
    let default_folder = || new_folder(&stem.unwrap_or_default().to_string_lossy());
    args.out.clone().unwrap_or_else(default_folder)
}

/// Trains all stages in the new folder `folder`, which is removed again if the first stage fails before its first step.
pub(in crate::command) fn start(trainer: &Trainer, folder: &Path, plans: &[RunPlan]) -> Result<Exit> {
    if is_at(folder) {
        let path = folder.to_path_buf();
        return Err(run::Error::Occupied { path }.into());
    }
    for plan in plans {
        RunFolder::check_free(&folder.join(&plan.name))?;
    }
    let file = folder.join(FILE);
    let text = serde_json::to_string_pretty(plans).expect("plans are serialisable");
    let failed = cannot_write(&file);
    let created = files::create_folder(folder).map_err(&failed)?;
    files::create(&file, format!("{text}\n").as_bytes()).map_err(&failed)?;
    let trained = stages(trainer, folder, plans, None);
    let has_begun = || {
        let mut plans = plans.iter();
        plans.any(|plan| folder.join(&plan.name).join(CHECKPOINT).exists())
    };
    if trained.is_err() && !has_begun() {
        let _ignored = files::remove(&file);
        files::remove_empty(&created);
    }
    trained
}

/// Trains the remaining stages.
pub(super) fn resume(trainer: &Trainer, args: &Train, folder: &Path) -> Result<Exit> {
    let plans = plans(folder)?;
    for plan in &plans {
        let differences = resume_conflicts(args, &plan.config);
        if !differences.is_empty() {
            let path = folder.join(&plan.name);
            return Err(run::Error::Mismatch { path, differences }.into());
        }
    }
    stages(trainer, folder, &plans, args.keep.checkpoint_every)
}

/// The plans of the stages of the experiment in `folder`.
pub(in crate::command) fn plans(folder: &Path) -> Result<Vec<RunPlan>, run::Error> {
    let no_run = |reason: String| run::Error::NoRun {
        path: folder.to_path_buf(),
        reason: format!("{FILE}: {reason}"),
    };
    let text = std::fs::read(folder.join(FILE)).map_err(|error| no_run(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| no_run(error.to_string()))
}

/// Trains the stages of `plans` that are not finished in `folder`. `typed` is the value of --checkpoint-every on this command line.
pub(in crate::command) fn stages(
    trainer: &Trainer,
    folder: &Path,
    plans: &[RunPlan],
    typed: Option<NonZeroU64>,
) -> Result<Exit> {
    let mut before: Option<PathBuf> = None;
    for (number, plan) in (1..).zip(plans) {
        let (path, total) = (folder.join(&plan.name), plans.len());
        trainer
            .output
            .print_line(&format!("\nstage {number} of {total}: {}", plan.name));
        let exit = if path.join(CHECKPOINT).exists() {
            let settings = RunSettings {
                whole: folder,
                save: plan.save.as_deref(),
                shown: &plan.shown,
                checkpoint_every: typed.or(plan.config.policy.checkpoint_every),
            };
            trainer.continue_run(&path, &settings)?
        } else {
            let origin = before.map_or_else(|| plan.origin.clone(), InitSource::Checkpoint);
            let plan = RunPlan {
                origin,
                ..plan.clone()
            };
            trainer.start(&plan, Some(&path), Some(folder))?
        };
        if exit != Exit::Done {
            return Ok(exit);
        }
        before = Some(path.join(CHECKPOINT));
    }
    Ok(Exit::Done)
}

//! What is to be trained: everything that was asked for, before a server has said what the images are.

use std::path::{Path, PathBuf};

use equibatch_training::schedule::LearningRates;
use serde::{Deserialize, Serialize};

use crate::{
    args::{DisplayArgs, Train, TrainingSetup, experiment::Stage},
    config::{apply_args, apply_setup_args},
    learn::{
        checkpoint,
        checkpoint::Checkpoint,
        run::{Frozen, RunConfig},
    },
    weights::Source,
};

/// One run as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunPlan {
    /// Its name, where it is a stage of several.
    pub(crate) name: String,
    /// What it begins with.
    pub(crate) origin: InitSource,
    /// Whether to sweep over learning rates first.
    pub(crate) find_lr: bool,
    /// Where to keep a copy of the last checkpoint.
    pub(crate) save: Option<PathBuf>,
    /// What a person sees of it.
    pub(crate) shown: DisplayArgs,
    /// All that decides the numbers, as far as it is known without the images.
    pub(crate) config: RunConfig,
}

/// What a run begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InitSource {
    /// Weights, or none.
    Weights(Source),
    /// The checkpoint of another run.
    Checkpoint(PathBuf),
}

impl Default for InitSource {
    /// Random numbers.
    fn default() -> Self {
        Self::Weights(Source::None)
    }
}

impl InitSource {
    fn of(setup: &TrainingSetup) -> Option<Self> {
        let network = &setup.network;
        let checkpoint = network.load.as_ref().map(|path| Self::Checkpoint(found_at(path)));
        checkpoint.or_else(|| network.weights.clone().map(Self::Weights))
    }
}

impl RunPlan {
    /// The run that was typed: what is not said is as in the checkpoint that it goes on from, or else usual.
    ///
    /// # Errors
    ///
    /// Where that checkpoint cannot be read.
    pub(crate) fn typed(train: &Train) -> Result<Self, checkpoint::Error> {
        let (origin, mut config) = initial_config(&train.setup)?;
        apply_args(train, &mut config);
        Ok(Self::new(String::new(), origin, config, &[train]))
    }

    /// The stage of a file, with what was typed besides in the place of what the file says.
    pub(crate) fn of_stage(stage: &Stage, typed: &Train) -> Self {
        let origin = InitSource::of(&typed.setup).or_else(|| InitSource::of(&stage.train.setup));
        let mut config = default_config(&[&typed.setup, &stage.train.setup]);
        apply_args(&stage.train, &mut config);
        apply_args(typed, &mut config);
        Self::new(
            stage.name.clone(),
            origin.unwrap_or_default(),
            config,
            &[typed, &stage.train],
        )
    }

    /// `said` counts from the first that says anything.
    fn new(name: String, origin: InitSource, config: RunConfig, said: &[&Train]) -> Self {
        let find_lr =
            said.iter().any(|train| train.find_lr) || LearningRates::are_to_be_found(&config.max_lr);
        let save = said.iter().find_map(|train| train.save.as_deref());
        let mut metrics = said.iter().map(|train| &train.shown.metrics);
        let shown = DisplayArgs {
            metrics: metrics
                .find(|metrics| !metrics.is_empty())
                .cloned()
                .unwrap_or_default(),
            no_tensorboard: said.iter().any(|train| train.shown.no_tensorboard),
        };
        Self {
            name,
            origin,
            find_lr,
            save: save.map(saved_as),
            shown,
            config,
        }
    }
}

/// What a command that trains begins with, and the settings that what is typed goes over.
///
/// # Errors
///
/// Where the checkpoint to go on from cannot be read.
pub(crate) fn initial_config(setup: &TrainingSetup) -> Result<(InitSource, RunConfig), checkpoint::Error> {
    let origin = InitSource::of(setup).unwrap_or_default();
    let mut config = match &origin {
        InitSource::Weights(_) => default_config(&[setup]),
        InitSource::Checkpoint(path) => {
            let RunConfig {
                epochs,
                max_lr,
                policy,
                ..
            } = RunConfig::default();
            RunConfig {
                epochs,
                max_lr,
                policy,
                ..Checkpoint::load(path)?.progress.config
            }
        }
    };
    apply_setup_args(setup, &mut config);
    Ok((origin, config))
}

/// What is not said is as always, only that with weights the body is frozen, as in the reference, and so it is where a network from a file
/// gets a new head. `said` counts from the first that says anything.
fn default_config(said: &[&TrainingSetup]) -> RunConfig {
    let weights = said.iter().find_map(|setup| setup.network.weights.as_ref());
    let is_from_file = said.iter().any(|setup| setup.network.model.is_some());
    RunConfig {
        frozen: match weights {
            _ if is_from_file => Frozen::BodyOfNewHead,
            weights => Frozen::Body(weights.is_some_and(|weights| *weights != Source::None)),
        },
        ..RunConfig::default()
    }
}

/// The checkpoint that `path` means: that of a run's folder, the file itself, or the file without its extension.
fn found_at(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(checkpoint::CHECKPOINT)
    } else if path.exists() {
        path.to_path_buf()
    } else {
        saved_as(path)
    }
}

/// The file that `--save` writes.
fn saved_as(path: &Path) -> PathBuf {
    match path.extension() {
        Some(_) => path.to_path_buf(),
        None => path.with_extension("safetensors"),
    }
}

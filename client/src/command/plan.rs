//! Settings of the runs to train, resolved from command line and experiment file before a server is contacted.

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

/// The settings of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunPlan {
    /// Name of the stage; empty for a single run.
    pub(crate) name: String,
    /// Source of the initial state.
    pub(crate) origin: InitSource,
    /// Whether to run a learning rate range test first.
    pub(crate) find_lr: bool,
    /// Path of a copy of the final checkpoint.
    pub(crate) save: Option<PathBuf>,
    /// Displayed metrics.
    pub(crate) shown: DisplayArgs,
    /// All settings that affect the results, as far as they are known without the dataset.
    pub(crate) config: RunConfig,
}

/// Source of the initial state of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InitSource {
    /// Pretrained weights, or random initialisation.
    Weights(Source),
    /// Checkpoint of another run.
    Checkpoint(PathBuf),
}

impl Default for InitSource {
    /// Random initialisation.
    fn default() -> Self {
        Self::Weights(Source::None)
    }
}

impl InitSource {
    fn of(setup: &TrainingSetup) -> Option<Self> {
        let network = &setup.network;
        let checkpoint = network
            .load
            .as_ref()
            .map(|path| Self::Checkpoint(checkpoint_at(path)));
        checkpoint.or_else(|| network.weights.clone().map(Self::Weights))
    }
}

impl RunPlan {
    /// A single run by its arguments. Missing settings are those of the checkpoint of --load, or the defaults.
    ///
    /// # Errors
    ///
    /// If that checkpoint cannot be read.
    pub(crate) fn typed(train: &Train) -> Result<Self, checkpoint::Error> {
        let (origin, mut config) = initial_config(&train.setup)?;
        apply_args(train, &mut config);
        Ok(Self::new(String::new(), origin, config, &[train]))
    }

    /// A stage of an experiment file, overridden by the command line.
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

    /// `arguments` are in order of precedence.
    fn new(name: String, origin: InitSource, config: RunConfig, arguments: &[&Train]) -> Self {
        let find_lr =
            arguments.iter().any(|train| train.find_lr) || LearningRates::are_to_be_found(&config.max_lr);
        let save = arguments.iter().find_map(|train| train.save.as_deref());
        let mut metrics = arguments.iter().map(|train| &train.shown.metrics);
        let shown = DisplayArgs {
            metrics: metrics
                .find(|metrics| !metrics.is_empty())
                .cloned()
                .unwrap_or_default(),
            no_tensorboard: arguments.iter().any(|train| train.shown.no_tensorboard),
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

/// The source of the initial state, and the configuration: that of the checkpoint of --load or the default, overridden by the arguments.
///
/// # Errors
///
/// If the checkpoint of --load cannot be read.
pub(crate) fn initial_config(setup: &TrainingSetup) -> Result<(InitSource, RunConfig), checkpoint::Error> {
    let origin = InitSource::of(setup).unwrap_or_default();
    let mut config = match &origin {
        InitSource::Weights(_) => default_config(&[setup]),
        InitSource::Checkpoint(path) => {
            let RunConfig {
                epochs,
                max_lr,
                policy,
                reset_head,
                head_steps,
                head_fit,
                reestimate_norms,
                ..
            } = RunConfig::default();
            RunConfig {
                epochs,
                max_lr,
                policy,
                reset_head,
                head_steps,
                head_fit,
                reestimate_norms,
                ..Checkpoint::load(path)?.progress.config
            }
        }
    };
    apply_setup_args(setup, &mut config);
    Ok((origin, config))
}

/// The default configuration. With --weights the body is frozen; with --model it is frozen if the head is reinitialised. `setups` are in order
/// of precedence.
fn default_config(setups: &[&TrainingSetup]) -> RunConfig {
    let weights = setups.iter().find_map(|setup| setup.network.weights.as_ref());
    let is_from_file = setups.iter().any(|setup| setup.network.model.is_some());
    RunConfig {
        frozen: match weights {
            _ if is_from_file => Frozen::BodyOfNewHead,
            weights => Frozen::body(weights.is_some_and(|weights| *weights != Source::None)),
        },
        ..RunConfig::default()
    }
}

/// The checkpoint at `path`: that of a run folder, the file itself, or the file with `.safetensors` appended.
fn checkpoint_at(path: &Path) -> PathBuf {
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

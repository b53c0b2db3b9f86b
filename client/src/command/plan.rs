//! Settings of the runs to train, resolved from command line and experiment file before a server is contacted.

use std::path::{Path, PathBuf};

use equibatch_stream::Balance;
use equibatch_training::schedule::LearningRates;
use serde::{Deserialize, Serialize};

use crate::{
    args::{DisplayArgs, Train, TrainingSetup},
    config::{apply_args, apply_setup_args},
    learn::{
        architecture::AUTO_HEAD,
        checkpoint,
        checkpoint::Checkpoint,
        init::HeadInit,
        run::{Frozen, HeadFit, HeadSteps, RunConfig},
    },
    weights::Source,
};

/// The recipe of networks from a file: the default one, of images that are not cropped.
const PADDED: &str = "fastai pad";

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
        let mut plan = Self::overridden(&[train])?;
        if plan.fits_linear_heads() {
            plan.config.head_steps = Some(HeadSteps::OfNewHead);
        }
        Ok(plan)
    }

    /// A single run by its arguments, each overridden by those after it. Missing settings are as in [`Self::typed`].
    ///
    /// # Errors
    ///
    /// If the checkpoint of --load cannot be read.
    pub(crate) fn overridden(arguments: &[&Train]) -> Result<Self, checkpoint::Error> {
        let by_precedence: Vec<&Train> = arguments.iter().rev().copied().collect();
        let setups: Vec<&TrainingSetup> = by_precedence.iter().map(|train| &train.setup).collect();
        let (origin, mut config) = unchanged_config(&setups)?;
        arguments.iter().for_each(|train| apply_args(train, &mut config));
        Ok(Self::new(String::new(), origin, config, &by_precedence))
    }

    /// Whether a new linear head of a network from a file is fitted to kept features, by default: nothing is said about the frozen body, the head,
    /// or how it is trained.
    fn fits_linear_heads(&self) -> bool {
        let config = &self.config;
        let default = RunConfig::default();
        config.frozen == Frozen::BodyOfNewHead
            && config.head == AUTO_HEAD
            && (config.head_steps, config.head_fit, self.find_lr) == (None, HeadFit::All, false)
            && (&config.max_lr, &config.optimizer, config.weight_decay)
                == (&default.max_lr, &default.optimizer, default.weight_decay)
            && (config.clip_norm, config.ema, config.accumulate, config.precision)
                == (None, None, default.accumulate, default.precision)
            && (config.policy == default.policy && config.loss.focal == 0.0)
    }

    /// A stage that is run alone. Network and images that no argument names are those of the checkpoint of --load.
    ///
    /// # Errors
    ///
    /// If that checkpoint cannot be read.
    pub(crate) fn of_single_stage(name: &str, arguments: &[&Train]) -> Result<Self, checkpoint::Error> {
        let mut networks = arguments.iter().map(|train| &train.setup.network);
        let is_named = networks
            .any(|network| network.arch.is_some() || network.model.is_some() || network.weights.is_some());
        let plan = Self::of_stage(name, arguments);
        match &plan.origin {
            InitSource::Checkpoint(path) if !is_named => {
                let loaded = Checkpoint::load(path)?.progress.config;
                Ok(Self::stage(name, arguments, Some(loaded)))
            }
            _ => Ok(plan),
        }
    }

    /// A stage of several by its arguments, each overridden by those after it.
    pub(crate) fn of_stage(name: &str, arguments: &[&Train]) -> Self {
        Self::stage(name, arguments, None)
    }

    /// `loaded` has network and images that the arguments override.
    fn stage(name: &str, arguments: &[&Train], loaded: Option<RunConfig>) -> Self {
        let by_precedence: Vec<&Train> = arguments.iter().rev().copied().collect();
        let setups: Vec<&TrainingSetup> = by_precedence.iter().map(|train| &train.setup).collect();
        let origin = setups.iter().find_map(|setup| InitSource::of(setup));
        let mut config = default_config(&setups);
        if let Some(loaded) = loaded {
            config = RunConfig {
                arch: loaded.arch,
                network_hash: loaded.network_hash,
                head: loaded.head,
                batch_size: loaded.batch_size,
                image_size: loaded.image_size,
                recipe: loaded.recipe,
                mean: loaded.mean,
                std: loaded.std,
                ..config
            };
        }
        arguments.iter().for_each(|train| apply_args(train, &mut config));
        Self::new(
            name.to_owned(),
            origin.unwrap_or_default(),
            config,
            &by_precedence,
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
    let (origin, mut config) = unchanged_config(&[setup])?;
    apply_setup_args(setup, &mut config);
    Ok((origin, config))
}

/// The source of the initial state, and the configuration that arguments override. `setups` are in order of precedence.
fn unchanged_config(setups: &[&TrainingSetup]) -> Result<(InitSource, RunConfig), checkpoint::Error> {
    let origin = setups.iter().find_map(|setup| InitSource::of(setup));
    let origin = origin.unwrap_or_default();
    let config = match &origin {
        InitSource::Weights(_) => default_config(setups),
        InitSource::Checkpoint(path) => {
            let RunConfig {
                epochs,
                policy,
                reset_head,
                head_steps,
                head_fit,
                reestimate_norms,
                ..
            } = RunConfig::default();
            let ended = Checkpoint::load(path)?.progress.config;
            RunConfig {
                epochs,
                max_lr: ended.optimizer.name.default_max_lr().to_owned(),
                policy,
                reset_head,
                head_steps,
                head_fit,
                reestimate_norms,
                head_init: HeadInit::default(),
                ..ended
            }
        }
    };
    Ok((origin, config))
}

/// The default configuration. With --weights the body is frozen; with --model it is frozen if the head is reinitialised. A network from either
/// is trained on natural batches with adjusted logits unless an option says how rare classes are handled: few images of a class, drawn often,
/// are learnt by heart. Images of a network from --model are padded instead of cropped. `setups` are in order of precedence.
fn default_config(setups: &[&TrainingSetup]) -> RunConfig {
    let weights = setups.iter().find_map(|setup| setup.network.weights.as_ref());
    let has_weights = weights.is_some_and(|weights| *weights != Source::None);
    let is_from_file = setups.iter().any(|setup| setup.network.model.is_some());
    let mut config = RunConfig {
        frozen: match weights {
            _ if is_from_file => Frozen::BodyOfNewHead,
            _ => Frozen::body(has_weights),
        },
        ..RunConfig::default()
    };
    if is_from_file {
        PADDED.clone_into(&mut config.recipe);
    }
    let handles_rare_classes = |setup: &&TrainingSetup| {
        let loss = &setup.objective;
        setup.images.balance.is_some()
            || loss.class_weights.is_some()
            || loss.ldam.is_some()
            || loss.logit_adjust.is_some()
    };
    if (has_weights || is_from_file) && !setups.iter().any(handles_rare_classes) {
        config.balance = Balance::Natural;
        config.loss.logit_adjust = 1.0;
    }
    config
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};

    /// The configuration of a run with these flags.
    fn planned(flags: &str) -> RunConfig {
        let arguments = ["client", "train"].into_iter().chain(flags.split_whitespace());
        let Command::Train(train) = Arguments::try_parse_from(arguments).expect("arguments").command else {
            panic!("another command");
        };
        RunPlan::typed(&train).expect("a plan").config
    }

    #[test]
    fn images_of_a_network_from_a_file_are_padded_unless_there_is_a_recipe() {
        let file = tempfile::Builder::new()
            .suffix(".onnx")
            .tempfile()
            .expect("a file");
        let model = format!("--model {}", file.path().display());
        for (flags, recipe) in [
            ("", ""),
            ("--weights none", ""),
            ("--weights hf:birds/net", ""),
            (&model, "fastai pad"),
            (&format!("{model} --balance oversample"), "fastai pad"),
            (&format!("{model} --recipe light"), "light"),
        ] {
            assert_eq!(planned(flags).recipe, recipe, "{flags}");
        }
    }

    /// A file is read when its arguments are parsed.
    #[test]
    fn a_new_head_of_a_file_is_fitted_unless_an_option_says_how_it_is_trained() {
        let file = tempfile::Builder::new()
            .suffix(".onnx")
            .tempfile()
            .expect("a file");
        let model = format!("--model {}", file.path().display());
        for (flags, steps) in [
            ("", Some(HeadSteps::OfNewHead)),
            ("--epochs 3 --balance oversample", Some(HeadSteps::OfNewHead)),
            ("--head-steps none", Some(HeadSteps::None)),
            ("--head-steps 7", "7".parse().ok()),
            ("--freeze=all", None),
            ("--freeze-norms --unfreeze", None),
            ("--head cosine", None),
            ("--max-lr 1e-2", None),
            ("--optimizer sgd", None),
            ("--find-lr", None),
            ("--focal 2", None),
            ("--early-stopping 2", None),
        ] {
            let config = planned(&format!("{model} {flags}"));
            assert_eq!(config.head_steps, steps, "{flags}");
        }
        assert_eq!(planned("--weights hf:birds/net").head_steps, None);
    }

    #[test]
    fn pretrained_networks_are_trained_on_natural_batches_with_adjusted_logits_unless_told_otherwise() {
        for (flags, balance, tau) in [
            ("", "oversample", 0.0),
            ("--weights none", "oversample", 0.0),
            ("--weights hf:birds/net", "natural", 1.0),
            ("--weights hf:birds/net --unfreeze", "natural", 1.0),
            ("--weights hf:birds/net --balance oversample", "oversample", 0.0),
            ("--weights hf:birds/net --balance natural", "natural", 0.0),
            (
                "--weights hf:birds/net --class-weights inverse",
                "oversample",
                0.0,
            ),
            ("--weights hf:birds/net --logit-adjust 0.5", "oversample", 0.5),
            ("--weights hf:birds/net --ldam --head cosine", "oversample", 0.0),
        ] {
            let config = planned(flags);
            let found = (config.balance.to_string(), config.loss.logit_adjust);
            assert_eq!(found, (balance.to_owned(), tau), "{flags}");
        }
    }
}

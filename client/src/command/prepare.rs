//! Preparation of a model for training: queries the server, loads weights and builds the learner.

use std::path::Path;

use anyhow::Result;
use equibatch_engine::augment::Recipe;

use super::{head_init, plan::InitSource};
use crate::{
    config::{UsageError, check_head_steps, check_loss_and_optimizer, check_precision},
    learn::{
        architecture,
        checkpoint::{Checkpoint, ResumeState},
        class_weights::ClassWeights,
        init::{HeadInit, InitFrom},
        learner::Learner,
        prior::ClassShares,
        run::{Frozen, HeadFit, HeadSteps, RunConfig},
    },
    weights::{Hub, LoadReport},
};
use equibatch_stream::{Balance, DatasetDescription, Servers, Split, StreamDescription};
use equibatch_training::runtime::{Runtime, SessionOptions};

/// Resources for training.
pub(super) struct TrainContext {
    pub(super) runtime: Runtime,
    pub(super) options: SessionOptions,
    pub(super) servers: Servers,
    pub(super) hub: Hub,
}

/// A model before its first step, and the description of its data.
pub(super) struct Prepared {
    pub(super) learner: Learner,
    pub(super) description: DatasetDescription,
    pub(super) stream: StreamDescription,
    /// Which pretrained weights were loaded.
    pub(super) load_report: Option<LoadReport>,
}

/// Completes `config` by the server's description of the dataset, and creates the learner from `origin`.
pub(super) fn prepare(
    context: &TrainContext,
    origin: &InitSource,
    mut config: RunConfig,
) -> Result<Prepared> {
    check_precision(config.precision, context.options.device)?;
    check_loss_and_optimizer(&config)?;
    let beta = config.loss.class_weights.beta();
    let description = context.servers.describe_with(&config.dataset, beta)?;
    let stream = ask_for_images(&context.servers, &mut config)?;
    if config.frozen == Frozen::BodyOfNewHead {
        config.frozen = Frozen::body(architecture::has_new_head(&config)?);
    }
    config.head_steps = match config.head_steps {
        Some(HeadSteps::OfNewHead) => (config.frozen == Frozen::body(true)).then_some(HeadSteps::Auto),
        Some(HeadSteps::None) => None,
        steps => steps,
    };
    check_head_steps(&config)?;
    if config.head_fit == HeadFit::TauNorm && description.images(Split::Valid) == 0 {
        let reason = "--head-fit tau-norm: tau is chosen on validation images, but the dataset has none";
        return Err(UsageError(reason.to_owned()).into());
    }
    config.loss.weights = config.loss.class_weights.of(&description);
    let images = description
        .classes
        .iter()
        .map(|class| class.images(Split::Train.name()));
    let scale = architecture::cosine_scale(&config.head).unwrap_or(1.0);
    config.loss.resolve(&images.clone().collect::<Vec<_>>(), scale);
    config.loss.resolve_draws(&stream);
    check_mixing(&config)?;
    config.class_shares = ClassShares::of(
        images.collect(),
        // Those of the last epoch, if a schedule changes them.
        &stream.label_weights_in_epoch(u64::MAX),
        &config.loss.weights,
        config.loss.logit_adjust,
    );
    warn_of_double_weight(&config);
    check_policy(&config, &description)?;
    let init_from = match origin {
        InitSource::Checkpoint(path) => {
            let checkpoint = Checkpoint::load(path)?;
            let ResumeState { config, images, .. } = &checkpoint.progress;
            warn_of_changes(
                path,
                images.changes_since(config, &context.servers, &description)?,
            );
            InitFrom::Checkpoint(Box::new(checkpoint))
        }
        InitSource::Weights(source) => source
            .read(&context.hub)?
            .map_or(InitFrom::Nothing, InitFrom::Weights),
    };
    let mut initial = init_from.init(config)?;
    if initial.config.head_init == HeadInit::ClassMeans {
        let device = (&context.runtime, &context.options);
        head_init::from_class_means(&context.servers, device, &mut initial)?;
    }
    let load_report = initial.load_report.clone();
    Ok(Prepared {
        learner: Learner::from_initial(&context.runtime, initial, &context.options)?,
        description,
        stream,
        load_report,
    })
}

/// Warns if the images of `dataset` have changed since the run at `path` was trained.
pub(super) fn check_images(servers: &Servers, path: &Path, then: &ResumeState, dataset: &str) -> Result<()> {
    let description = servers.describe(dataset)?;
    let changes = then.images.changes_since(&then.config, servers, &description)?;
    warn_of_changes(path, changes);
    Ok(())
}

fn warn_of_changes(path: &Path, changes: Option<String>) {
    if let Some(changes) = changes {
        tracing::warn!(
            "the dataset has changed since {} was trained: {changes}",
            path.display()
        );
    }
}

/// Checks that the loss has no margins if images are mixed: two labels have two margins.
fn check_mixing(config: &RunConfig) -> Result<()> {
    if config.loss.margins.is_empty() || !config.recipe.parse::<Recipe>()?.mixes() {
        return Ok(());
    }
    let message = format!(
        "--ldam cannot be used with mixed images, which have two labels (--recipe {}): use a recipe without mixup and cutmix",
        config.recipe
    );
    Err(UsageError(message).into())
}

/// Warns if both sampling and loss are balanced, which over-corrects for rare classes.
fn warn_of_double_weight(config: &RunConfig) {
    if config.loss.class_weights != ClassWeights::None && config.balance != Balance::Natural {
        tracing::warn!(
            "rare classes count twice: in sampling (--balance {}) and in the loss (--class-weights {}); use only one of them, such as \
             --balance natural with class weights",
            config.balance,
            config.loss.class_weights
        );
    }
}

/// Opens a stream for its description, and completes `config` by it.
pub(super) fn ask_for_images(servers: &Servers, config: &mut RunConfig) -> Result<StreamDescription> {
    let stream = servers.stream(&config.images(1), 1)?.description().clone();
    if stream.steps_per_epoch == 0 {
        let images = stream.images_per_epoch;
        let message = format!(
            "an epoch of {images} images is smaller than one step; use --batch-size {} or less",
            (images / u64::from(config.accumulate)).max(2)
        );
        return Err(UsageError(message).into());
    }
    *config = config.clone().described(&stream);
    Ok(stream)
}

/// Checks that --save-best and --early-stopping have validation images and a metric that exists for the classes.
fn check_policy(config: &RunConfig, description: &DatasetDescription) -> Result<(), UsageError> {
    let policy = &config.policy;
    if policy.save_best.is_none() && policy.early_stopping.is_none() {
        return Ok(());
    }
    if description.images(Split::Valid) == 0 {
        return Err(UsageError(format!(
            "{policy}: the dataset `{}` has no validation images",
            config.dataset
        )));
    }
    let metric = policy.metric();
    if metric.exists_for(&config.classes) {
        return Ok(());
    }
    Err(UsageError(format!(
        "--save-best {metric}: no such metric for the classes {}",
        config.classes.join(", ")
    )))
}

//! From what was asked for to a model that is about to learn.

use anyhow::Result;

use super::plan::Origin;
use crate::{
    config::UsageError,
    learn::{begin::Beginning, checkpoint::Checkpoint, learner::Learner, run::RunConfig},
    runtime::{Runtime, SessionOptions},
    stream::{BatchRequest, DatasetDescription, Servers, Split},
    weights::{Adoption, Hub},
};

/// What training is carried out with.
pub(super) struct Means {
    pub(super) runtime: Runtime,
    pub(super) options: SessionOptions,
    pub(super) servers: Servers,
    pub(super) hub: Hub,
}

/// A model before its first step, and the images that it is about to learn from.
pub(super) struct Prepared {
    pub(super) learner: Learner,
    pub(super) description: DatasetDescription,
    /// What was taken over from a file of weights.
    pub(super) adoption: Option<Adoption>,
}

/// Completes what was asked for by what the server says of the images, and begins.
pub(super) fn prepare(means: &Means, origin: &Origin, mut config: RunConfig) -> Result<Prepared> {
    let description = means.servers.describe(&config.dataset)?;
    ask_for_images(&means.servers, &mut config)?;
    check_policy(&config, &description)?;
    let beginning = match origin {
        Origin::Checkpoint(path) => Beginning::Checkpoint(Box::new(Checkpoint::load(path)?)),
        Origin::Weights(source) => source
            .read(&means.hub)?
            .map_or(Beginning::Nothing, Beginning::Weights),
    };
    let begun = beginning.begin(config)?;
    let adoption = begun.adoption.clone();
    Ok(Prepared {
        learner: Learner::begin(&means.runtime, begun, &means.options)?,
        description,
        adoption,
    })
}

/// What the stream is like is known only from the stream itself.
fn ask_for_images(servers: &Servers, config: &mut RunConfig) -> Result<()> {
    let request = BatchRequest {
        seed: config.seed,
        epochs: 1,
        balance: Some(config.balance),
        recipe: config.recipe.clone(),
        wire: config.wire,
        ..BatchRequest::evaluation(
            &config.dataset,
            Split::Train,
            config.batch_size,
            config.image_size,
        )
    };
    let stream = servers.stream(&request, 1)?.description().clone();
    if stream.steps_per_epoch == 0 {
        let images = stream.images_per_epoch;
        let message = format!(
            "an epoch of {images} images has no full batch; use --batch-size {} or less",
            images.max(2)
        );
        return Err(UsageError(message).into());
    }
    *config = RunConfig {
        dataset: stream.dataset,
        fingerprint: stream.fingerprint,
        classes: stream.classes,
        steps_per_epoch: stream.steps_per_epoch,
        recipe: stream.recipe,
        mean: stream.mean,
        std: stream.std,
        canonical_short_side: stream.canonical_short_side,
        ..config.clone()
    };
    Ok(())
}

/// Epochs can be compared only where there are images for it, and by a figure that they have.
fn check_policy(config: &RunConfig, description: &DatasetDescription) -> Result<(), UsageError> {
    let policy = &config.policy;
    if policy.save_best.is_none() && policy.early_stopping.is_none() {
        return Ok(());
    }
    if description.images(Split::Valid) == 0 {
        return Err(UsageError(format!(
            "{policy}: the dataset `{}` has no validation images to compare epochs by",
            config.dataset
        )));
    }
    let metric = policy.metric();
    if metric.exists_for(&config.classes) {
        return Ok(());
    }
    Err(UsageError(format!(
        "--save-best {metric}: there is no such figure of the classes {}",
        config.classes.join(", ")
    )))
}

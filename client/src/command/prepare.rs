//! From what was typed to a model that is about to learn.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    args::Setup,
    config::UsageError,
    learn::{
        begin::{Beginning, Begun},
        checkpoint::{CHECKPOINT, Checkpoint},
        run::RunConfig,
    },
    stream::{BatchRequest, DatasetDescription, Servers, Split},
    weights::Source,
};

/// A run before its first step, and the images that it is about.
pub(super) struct Prepared {
    pub(super) begun: Begun,
    pub(super) description: DatasetDescription,
}

/// Settles what a run is: what was typed (`put_over`) over what the checkpoint to go on from says, or over the defaults; and then what the
/// server says of the images.
pub(super) fn prepare(
    setup: &Setup,
    servers: &Servers,
    put_over: impl FnOnce(&mut RunConfig),
) -> Result<Prepared> {
    let network = &setup.network;
    let checkpoint = match &network.load {
        Some(path) => Some(Checkpoint::load(&checkpoint_at(path))?),
        None => None,
    };
    let source = network.weights.clone().unwrap_or_default();
    let mut config = match &checkpoint {
        Some(checkpoint) => {
            let RunConfig { epochs, max_lr, .. } = RunConfig::default();
            RunConfig {
                epochs,
                max_lr,
                ..checkpoint.progress.config.clone()
            }
        }
        None => RunConfig {
            frozen: source != Source::None,
            ..RunConfig::default()
        },
    };
    put_over(&mut config);
    let description = servers.describe(&config.dataset)?;
    ask_for_images(servers, &mut config)?;
    let beginning = match checkpoint {
        Some(checkpoint) => Beginning::Checkpoint(Box::new(checkpoint)),
        None => source
            .read(&network.hub())?
            .map_or(Beginning::Nothing, Beginning::Weights),
    };
    let begun = beginning.begin(config)?;
    Ok(Prepared { begun, description })
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

/// The checkpoint that `path` means: that of a run's folder, the file itself, or the file without its extension.
fn checkpoint_at(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(CHECKPOINT)
    } else if path.exists() {
        path.to_path_buf()
    } else {
        saved_as(path)
    }
}

/// The file that `--save` writes.
pub(super) fn saved_as(path: &Path) -> PathBuf {
    match path.extension() {
        Some(_) => path.to_path_buf(),
        None => path.with_extension("safetensors"),
    }
}

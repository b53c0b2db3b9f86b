//! From a configuration to the program of a step.

use super::Error;
use crate::{
    learn::{architecture, run::RunConfig},
    program::{AdamW, Images, LayerGroup, Pixels, TrainSpec},
    runtime::SessionOptions,
    schedule::LearningRates,
    stream::Wire,
};

/// The training step of a run.
///
/// # Errors
///
/// [`Error::Setting`] where the configuration makes no sense or the device cannot do it.
pub(super) fn of(config: &RunConfig, options: &SessionOptions) -> Result<TrainSpec, Error> {
    let model = architecture::spec(config)?;
    let optimizer = AdamW {
        weight_decay: config.weight_decay,
        ..AdamW::default()
    };
    let is_fused = options
        .operators
        .are_fused(options.device)
        .ok_or_else(|| Error::Setting {
            reason: format!("--operators fast runs on the CPU only, not on {}", options.device),
        })?;
    Ok(TrainSpec {
        optimizer,
        images: images(config),
        frozen_groups: if config.frozen {
            LayerGroup::Head.index()
        } else {
            0
        },
        is_fused,
        focal: config.loss.focal,
        clip_norm: config.clip_norm,
        average: config.ema.is_some(),
        precision: config.precision,
        ..TrainSpec::new(model, config.batch_size as usize)
    })
}

/// What the training step takes its images as.
fn images(config: &RunConfig) -> Images {
    match config.wire {
        Wire::F32 => Images::F32,
        Wire::F16 => Images::F16,
        Wire::U8 => Images::Pixels(Pixels {
            channels_last: false,
            mean: config.mean,
            std: config.std,
        }),
    }
}

/// The peak learning rate of each layer group.
pub(super) fn peak_rates(text: &str) -> Result<Vec<f64>, Error> {
    let rates: LearningRates = text.parse().map_err(|error| Error::Setting {
        reason: format!("{error}"),
    })?;
    Ok(rates.per_group(LayerGroup::ALL.len()))
}

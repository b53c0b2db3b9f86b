//! From a configuration to the specification of a training step.

use std::collections::BTreeSet;

use super::Error;
use crate::learn::{
    architecture,
    run::{Frozen, RunConfig, expression},
};
use equibatch_stream::BatchDtype;
use equibatch_training::{
    program::{self, AdamW, Images, LayerGroup, ModelSpec, Pixels, TrainSpec},
    runtime::SessionOptions,
    schedule::LearningRates,
};

/// The specification of a run's training step.
///
/// # Errors
///
/// [`Error::Setting`] if the configuration is invalid or the device does not support it.
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
            reason: format!(
                "--operators fast: only supported on the CPU, not on {}",
                options.device
            ),
        })?;
    Ok(TrainSpec {
        optimizer,
        images: images(config),
        frozen_groups: match &config.frozen {
            Frozen::Body(true) => LayerGroup::Head.index(),
            Frozen::Body(false) | Frozen::Matching(_) | Frozen::BodyOfNewHead => 0,
        },
        frozen: matching(&config.frozen, &model)?,
        is_fused,
        focal: config.loss.focal,
        clip_norm: config.clip_norm,
        average: config.ema.is_some(),
        precision: config.precision,
        ..TrainSpec::new(model, config.batch_size as usize)
    })
}

/// The parameters that match the regular expression: at least one, and not all.
fn matching(frozen: &Frozen, model: &ModelSpec) -> Result<BTreeSet<String>, Error> {
    let Frozen::Matching(text) = frozen else {
        return Ok(BTreeSet::new());
    };
    let setting = |reason: String| Error::Setting {
        reason: format!("--freeze={text}: {reason}"),
    };
    let expression = expression(text).map_err(setting)?;
    let all = program::parameter_names(model)?;
    let matching: BTreeSet<String> = all
        .iter()
        .filter(|name| expression.is_match(name))
        .cloned()
        .collect();
    match (all.first(), all.last()) {
        (Some(first), Some(last)) if matching.is_empty() => Err(setting(format!(
            "no parameter name matches; there are {} parameters, from {first} to {last}",
            all.len()
        ))),
        _ if matching.len() == all.len() => Err(setting(
            "it matches all parameters; at least one must be trained".to_owned(),
        )),
        _ => Ok(matching),
    }
}

/// The image input of the training step.
fn images(config: &RunConfig) -> Images {
    match config.wire {
        BatchDtype::F32 => Images::F32,
        BatchDtype::F16 => Images::F16,
        BatchDtype::U8 => Images::Pixels(Pixels {
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

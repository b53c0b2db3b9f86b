//! From a configuration to the specification of a training step.

use super::{
    Error,
    inputs::{MARGINS, TARGETS},
};
use crate::learn::{
    architecture,
    run::{Frozen, RunConfig, expression},
};
use equibatch_stream::BatchDtype;
use equibatch_training::{
    program::{self, Images, LayerGroup, Loss, ParameterGroup, Pixels, TrainSpec},
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
    let kernels = options
        .operators
        .kernels(options.device)
        .ok_or_else(|| Error::Setting {
            reason: format!(
                "--operators fast: cuDNN 9, which computes our operators on {}, cannot be loaded",
                options.device
            ),
        })?;
    let mut spec = TrainSpec {
        optimizer: config.optimizer.build(config.weight_decay),
        images: images(config),
        kernels,
        loss: loss(config),
        clip_norm: config.clip_norm,
        average: config.ema.is_some(),
        precision: config.precision,
        ..TrainSpec::new(model, config.batch_size as usize)
    };
    spec.groups.extend(config.optimizer.groups());
    let spec = if config.has_fixed_norms() {
        spec.freeze_norms()
    } else {
        spec
    };
    freeze(spec, &config.frozen)
}

/// The loss. Class weights and smoothing are part of its targets.
fn loss(config: &RunConfig) -> Loss {
    let options = &config.loss;
    if options.has_margins() {
        return Loss::margin_cross_entropy("logits", TARGETS, options.focal, MARGINS);
    }
    let offsets = config.class_shares.loss_offsets(options.logit_adjust);
    Loss::adjusted_cross_entropy("logits", TARGETS, options.focal, offsets)
}

/// Adds the frozen parameters. A regular expression must match at least one, and not all.
fn freeze(mut spec: TrainSpec, frozen: &Frozen) -> Result<TrainSpec, Error> {
    let text = match frozen {
        Frozen::Body(true) | Frozen::All(_) => return Ok(spec.freeze_layers(LayerGroup::Head.index())),
        Frozen::Body(false) | Frozen::BodyOfNewHead => return Ok(spec),
        Frozen::Matching(text) => text,
    };
    let setting = |reason: String| Error::Setting {
        reason: format!("--freeze={text}: {reason}"),
    };
    let expression = expression(text).map_err(setting)?;
    let all = program::parameter_names(&spec.model)?;
    let matching = all.iter().filter(|name| expression.is_match(name)).count();
    match (all.first(), all.last()) {
        (Some(first), Some(last)) if matching == 0 => Err(setting(format!(
            "no parameter name matches; there are {} parameters, from {first} to {last}",
            all.len()
        ))),
        _ if matching == all.len() => Err(setting(
            "it matches all parameters; at least one must be trained".to_owned(),
        )),
        _ => {
            let is_frozen = ParameterGroup::of(move |parameter| expression.is_match(&parameter.name));
            spec.groups.push(is_frozen.frozen(true));
            Ok(spec)
        }
    }
}

/// The image input of the training step.
pub(super) fn images(config: &RunConfig) -> Images {
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

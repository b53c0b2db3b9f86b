//! Checks across settings.

use std::path::{Path, PathBuf};

use equibatch_training::{
    program::{Head, Precision},
    runtime::Device,
};

use super::{settings::apply_args, usage_error::UsageError};
use crate::{
    args::{Train, experiment::Stage},
    learn::{
        architecture::cosine_scale,
        run::{Frozen, HeadFit, RunConfig},
    },
};

/// Checks that the device supports the precision.
///
/// # Errors
///
/// [`UsageError`] for reduced precision on a CPU.
pub fn check_precision(precision: Precision, device: Device) -> Result<(), UsageError> {
    if precision == Precision::F32 || device != Device::Cpu {
        return Ok(());
    }
    Err(UsageError(format!(
        "--precision {precision} needs --device cuda: on a CPU, only f32 is supported"
    )))
}

/// Checks that the body is frozen if the head is trained on features that are kept.
///
/// # Errors
///
/// [`UsageError`] if the features would change in training, or with a reduced precision.
pub fn check_head_steps(config: &RunConfig) -> Result<(), UsageError> {
    let Some(steps) = config.head_steps else {
        let reason = "--head-fit needs --head-steps: it is fitted to features that are kept".to_owned();
        return if config.head_fit == HeadFit::All {
            Ok(())
        } else {
            Err(UsageError(reason))
        };
    };
    let reason = if !matches!(config.frozen, Frozen::All(_)) {
        "needs --freeze=all: features of the body can be kept only if neither its weights nor its batch norms change".to_owned()
    } else if config.precision != Precision::F32 {
        format!("needs --precision f32, not {}", config.precision)
    } else {
        return Ok(());
    };
    Err(UsageError(format!("--head-steps {steps} {reason}")))
}

/// Checks the head of a built-in network.
///
/// # Errors
///
/// [`UsageError`] if the head is unknown.
pub fn check_head(config: &RunConfig) -> Result<(), UsageError> {
    if config.network_hash.is_empty() {
        let head: Result<Head, _> = config.head.parse();
        head.map_err(|error| UsageError(format!("--head: {error}")))?;
    }
    Ok(())
}

/// Checks the settings of loss and optimizer.
///
/// # Errors
///
/// [`UsageError`] if they cannot be used together.
pub fn check_loss_and_optimizer(config: &RunConfig) -> Result<(), UsageError> {
    let has_cosines = cosine_scale(&config.head).is_some();
    let conflict = config.optimizer.conflict(config.epochs);
    let conflict = conflict.or_else(|| config.loss.conflict(config.epochs, has_cosines));
    conflict.map_or(Ok(()), |reason| Err(UsageError(reason)))
}

/// Checks that the stages of an experiment leave open what flags beside it set: each flag takes effect in at least one of them.
///
/// # Errors
///
/// [`UsageError`] that names the key and a stage that sets another value, if all stages have the key.
pub fn check_typed(stages: &[Stage], typed: &Train) -> Result<(), UsageError> {
    let has = |stage: &Stage, key: &str| stage.own.iter().any(|(own, _)| own == key);
    for stage in stages {
        for (key, own) in &stage.own {
            if stages.iter().all(|stage| has(stage, key)) && contradicts(key, own, typed) {
                return Err(UsageError(format!(
                    "--{key} contradicts the stage `{}` of the experiment, whose own key `{key}` defines it, and no stage leaves it open: leave out \
                     the flag, train one stage with --stage, or change a copy of the experiment file",
                    stage.name
                )));
            }
        }
    }
    Ok(())
}

/// Whether the key of a stage and the flags set different values of the same setting: it matters which are applied last.
fn contradicts(key: &str, own: &Train, typed: &Train) -> bool {
    let mut typed = typed.clone();
    // These change the defaults of other settings, which the stage may give.
    if key != "optimizer" {
        typed.setup.optimizer.optimizer = None;
    }
    if key != "model" {
        typed.setup.network.model = None;
    }
    let applied = |order: [&Train; 2]| {
        // Not the default, which depends on other flags.
        let mut config = RunConfig {
            epochs: 0,
            ..RunConfig::default()
        };
        order.into_iter().for_each(|train| apply_args(train, &mut config));
        config
    };
    applied([own, &typed]) != applied([&typed, own])
}

/// The first folder of `runs/NAME`, `runs/NAME-2`, ... that does not exist.
#[must_use]
pub fn new_folder(name: &str) -> PathBuf {
    let name = name.replace([':', '/', '\\', '>'], "-");
    let folder = |number: u32| {
        let suffix = if number > 1 {
            format!("-{number}")
        } else {
            String::new()
        };
        Path::new("runs").join(format!("{name}{suffix}"))
    };
    (1..)
        .map(folder)
        .find(|path| !path.exists())
        .expect("the numbers are unbounded")
}

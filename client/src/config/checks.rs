//! Checks across settings.

use std::path::{Path, PathBuf};

use equibatch_training::{
    program::{Head, Precision},
    runtime::Device,
};

use super::usage_error::UsageError;
use crate::learn::{
    architecture::cosine_scale,
    run::{Frozen, HeadFit, RunConfig},
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

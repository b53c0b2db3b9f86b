//! Inputs of a training step.

use std::borrow::Cow;

use bytes::Bytes;

use crate::learn::checkpoint::ResumeState;
use equibatch_stream::{Batch, Mixed};
use equibatch_training::trainer::{StepInputs, Stepper};

/// Name of the images among the inputs.
pub(super) const IMAGES: &str = "images";
/// Name of the targets.
pub(super) const TARGETS: &str = "targets";
/// Name of what is subtracted from the logits, if the loss has such margins.
pub(super) const MARGINS: &str = "margins";

/// Samples of a step.
pub(super) struct Samples<'a> {
    /// Name of the input, and its little-endian elements.
    pub(super) input: (&'static str, &'a [u8]),
    /// Their epoch in the stream, from 0.
    pub(super) epoch: u64,
    /// Their labels.
    pub(super) labels: &'a [u32],
    /// The mixed parts of the labels.
    pub(super) mixed: Option<&'a [Mixed]>,
    /// Elements of the next step, if they are staged.
    pub(super) next: Option<&'a Bytes>,
}

impl<'a> Samples<'a> {
    /// The images of `batch`, and ahead those of `next`.
    pub(super) fn images((batch, next): (&'a Batch, Option<&'a Batch>)) -> Self {
        Self {
            input: (IMAGES, &batch.tensor),
            epoch: batch.epoch,
            labels: &batch.labels,
            mixed: batch.mixed.as_deref(),
            next: next.map(|next| &next.tensor),
        }
    }
}

/// Inputs of the step on `samples`, after `steps` steps of the run.
pub(super) fn of<'a>(
    progress: &ResumeState,
    stepper: &Stepper,
    samples: &Samples<'a>,
    (steps, hyper, rates): (u64, &[(&'static str, f64)], &[f64]),
) -> StepInputs<'a> {
    let config = &progress.config;
    let average = |decay| average_decay(decay, progress.optimizer_steps(steps));
    let (seed, step) = (config.seed, config.lineage.steps + steps);
    let mut targets = vec![0.0; samples.labels.len() * config.classes.len()];
    let loss = config.loss.in_epoch(steps / config.steps_per_epoch.max(1) + 1);
    loss.targets(samples.labels, samples.mixed, &mut targets);
    let bytes = |numbers: Vec<f32>| numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let margins = loss.margins_of(samples.labels, samples.epoch);
    let margins = margins.map(|margins| (MARGINS, Cow::Owned(bytes(margins))));
    let required = [
        (samples.input.0, Cow::Borrowed(samples.input.1)),
        (TARGETS, Cow::Owned(bytes(targets))),
    ];
    StepInputs {
        batch: required.into_iter().chain(margins).collect(),
        next: samples.next,
        masks: stepper.masks(seed, step),
        scalars: scalars(hyper, rates, config.ema.map(average)),
        loss_scale: progress.loss_scale_in_use(),
    }
}

/// Scalar inputs by name.
fn scalars(hyper: &[(&'static str, f64)], rates: &[f64], average_decay: Option<f64>) -> Vec<(String, f64)> {
    let rates = rates.iter().enumerate();
    let rates = rates.map(|(group, &rate)| (format!("learning_rate.{group}"), rate));
    let decay = average_decay.map(|decay| ("average_decay".to_owned(), decay));
    let named = hyper.iter().map(|&(name, value)| (name.to_owned(), value));
    named.chain(rates).chain(decay).collect()
}

/// Decay of the moving average after `steps` optimizer steps. It starts below `decay`, so that initial weights fade quickly.
///
///
/// # Source
///
/// TensorFlow's `ExponentialMovingAverage` with `num_updates`.
fn average_decay(decay: f32, steps: u64) -> f64 {
    f64::from(decay).min((1.0 + steps as f64) / (10.0 + steps as f64))
}

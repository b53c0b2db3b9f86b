//! Inputs of a training step.

use crate::learn::{checkpoint::ResumeState, stepper::StepInputs};
use equibatch_stream::Batch;
use equibatch_training::program::{Dropout, dropout};

/// Inputs of the step on `batch`, after `steps` steps of the run; `layers` are the dropout layers.
pub(super) fn of<'a>(
    progress: &ResumeState,
    layers: &[Dropout],
    (batch, next): (&'a Batch, Option<&'a Batch>),
    (steps, hyper, rates): (u64, &[(&'static str, f64)], &[f64]),
) -> StepInputs<'a> {
    let config = &progress.config;
    let average = |decay| average_decay(decay, progress.optimizer_steps(steps));
    let (seed, step) = (config.seed, config.lineage.steps + steps);
    let mut targets = vec![0.0; batch.labels.len() * config.classes.len()];
    config
        .loss
        .targets(&batch.labels, batch.mixed.as_deref(), &mut targets);
    let parts = config.accumulate.max(1) as usize;
    let masks = (0..).zip(layers).map(|(layer, dropout)| {
        // One mask for the whole batch, so that micro-batches use their rows of it.
        let mut mask = vec![0.0; dropout.shape.elements() * parts];
        dropout::draw(dropout, (seed, step, layer), &mut mask);
        mask
    });
    StepInputs {
        images: &batch.tensor,
        next: next.map(|next| &next.tensor),
        targets,
        masks: masks.collect(),
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

//! What is told while a model learns.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::learn::{learner::StepReport, metrics::Metrics};

/// What is told while a model learns.
pub trait Observer {
    /// How batches will come, in words.
    fn batches_come_by(&mut self, _ways: &str) {}
    /// A step is done.
    fn step(&mut self, step: &StepEvent);
    /// An epoch is done, judged and saved.
    fn epoch(&mut self, record: &EpochRecord);
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct StepEvent {
    /// From 0.
    pub epoch: u64,
    /// Steps done, over all epochs.
    pub steps: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Images of the step.
    pub images: usize,
    /// Its loss and learning rate.
    pub report: StepReport,
    /// The loss to show.
    pub smoothed_loss: f64,
    /// How long it waited for its batch.
    pub waited: Duration,
    /// How long it took, waiting included.
    pub took: Duration,
}

/// One epoch: a line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u64,
    /// Steps done, over all epochs.
    pub steps: u64,
    /// Smoothed over the whole run, as the progress bar shows it.
    pub train_loss: f64,
    /// On the validation images; absent where there are none, or where the server went away before they were judged.
    pub valid: Option<Metrics>,
    /// Of the last step, the largest of all layer groups.
    pub learning_rate: f64,
    /// Norm of the gradients before they are clipped, in the mean of all steps; absent where nothing is clipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Steps of this epoch that were not taken, because a gradient was not finite; absent where the loss is not scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u64>,
    /// What the loss is multiplied with from here on; absent where it is not scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f32>,
    /// For training, without validation.
    pub seconds: f64,
    /// In training.
    pub images_per_second: f64,
    /// Share of the training time that was spent waiting for batches.
    pub wait_share: f64,
    /// What held the epoch up: `trainer`, `network`, `server CPU`, `disk`, `decoding`, `cache too small`, or `batches` where the servers
    /// did not say why these were late.
    pub bottleneck: Option<String>,
    /// Its part of the time, from 0 to 1.
    pub bottleneck_share: Option<f64>,
    /// Images that stood in the place of broken files.
    pub replaced: usize,
}

/// Both are told.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn batches_come_by(&mut self, ways: &str) {
        self.0.batches_come_by(ways);
        self.1.batches_come_by(ways);
    }

    fn step(&mut self, step: &StepEvent) {
        self.0.step(step);
        self.1.step(step);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.0.epoch(record);
        self.1.epoch(record);
    }
}

/// It is told where it is there.
impl<A: Observer> Observer for Option<A> {
    fn batches_come_by(&mut self, ways: &str) {
        if let Some(observer) = self {
            observer.batches_come_by(ways);
        }
    }

    fn step(&mut self, step: &StepEvent) {
        if let Some(observer) = self {
            observer.step(step);
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        if let Some(observer) = self {
            observer.epoch(record);
        }
    }
}

//! Callbacks during training.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::learn::{learner::StepReport, metrics::Metrics};

/// Receives events during training.
pub trait Observer {
    /// The stream is open; `ways` describes its transports.
    fn stream_opened(&mut self, _ways: &str) {}
    /// Features of `done` of `total` images are kept.
    fn features(&mut self, _done: usize, _total: usize) {}
    /// A step was completed.
    fn step(&mut self, step: &StepEvent);
    /// An epoch was completed, evaluated and saved.
    fn epoch(&mut self, record: &EpochRecord);
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct StepEvent {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Completed steps over all epochs.
    pub steps: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Number of images of the step.
    pub images: usize,
    /// Its loss and learning rate.
    pub report: StepReport,
    /// Smoothed training loss.
    pub smoothed_loss: f64,
    /// Time spent waiting for the batch.
    pub waited: Duration,
    /// Total time, including the wait.
    pub took: Duration,
}

/// One epoch: a line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: u64,
    /// Completed steps over all epochs.
    pub steps: u64,
    /// Training loss, smoothed over the whole run.
    pub train_loss: f64,
    /// Metrics on the validation split; absent if it is empty, or if the server failed before the evaluation.
    pub valid: Option<Metrics>,
    /// Learning rate of the last step, the largest of all layer groups.
    pub learning_rate: f64,
    /// Mean over all steps of the gradient norm before clipping; absent without clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Steps of this epoch that were skipped because a gradient was not finite; absent if the loss is not scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u64>,
    /// Loss scale at the end of the epoch; absent if the loss is not scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f32>,
    /// Training time in seconds, without evaluation.
    pub seconds: f64,
    /// Training throughput.
    pub images_per_second: f64,
    /// Share of the training time spent waiting for batches, 0 to 1.
    pub wait_share: f64,
    /// Bottleneck of the epoch: `trainer`, `network`, `server CPU`, `disk`, `decoding`, `cache too small`, or `batches` if the servers did
    /// not report why batches were late.
    pub bottleneck: Option<String>,
    /// The bottleneck's share of the time, 0 to 1.
    pub bottleneck_share: Option<f64>,
    /// Number of images that replaced undecodable files.
    pub replaced: usize,
    /// Batches of each server, by its address, that came with other bytes than it sent and were asked for again, since the epoch before or
    /// since training was resumed; absent where there were none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub damaged: BTreeMap<String, u64>,
}

/// Notifies both.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn stream_opened(&mut self, ways: &str) {
        self.0.stream_opened(ways);
        self.1.stream_opened(ways);
    }

    fn features(&mut self, done: usize, total: usize) {
        self.0.features(done, total);
        self.1.features(done, total);
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

/// Notifies the observer, if there is one.
impl<A: Observer> Observer for Option<A> {
    fn stream_opened(&mut self, ways: &str) {
        if let Some(observer) = self {
            observer.stream_opened(ways);
        }
    }

    fn features(&mut self, done: usize, total: usize) {
        if let Some(observer) = self {
            observer.features(done, total);
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

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize};

use super::{lines, open, write};
use crate::learn::fit::{EpochRecord, Observer, StepEvent};

/// A step: a line of `steps.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Number of the step over all epochs, from 1.
    pub step: u64,
    /// Epoch, from 1.
    pub epoch: u64,
    /// Loss of the batch; `null` in JSON and NaN here if it was not finite.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// Smoothed training loss.
    #[serde(deserialize_with = "number")]
    pub smoothed_loss: f64,
    /// Whether the step was skipped because a gradient was not finite; written only if true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Learning rate of each layer group, from the first layers to the head.
    pub learning_rates: Vec<f64>,
    /// Momentum (Adam's β₁).
    pub momentum: f64,
    /// Number of images.
    pub images: usize,
    /// Total seconds, including the wait.
    pub seconds: f64,
    /// Seconds spent waiting for the batch.
    pub waited: f64,
}

pub(in crate::learn) const STEPS: &str = "steps.jsonl";

/// Writes `steps.jsonl`, and forwards events to another observer.
#[derive(Debug)]
pub struct StepLog<O> {
    path: PathBuf,
    file: Option<File>,
    inner: O,
}

impl<O: Observer> StepLog<O> {
    /// Appends to the file of the run in `folder`, and forwards all events to `inner`.
    #[must_use]
    pub fn new(folder: &Path, inner: O) -> Self {
        let path = Self::path(folder);
        let file = open(&path).inspect_err(|error| warn(&path, error)).ok();
        Self { path, file, inner }
    }

    /// The other observer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join(STEPS)
    }

    /// Runs an operation on the file; after a failure, logging stops with a warning.
    fn with_file(&mut self, work: impl FnOnce(&mut File) -> io::Result<()>) {
        if let Some(Err(error)) = self.file.as_mut().map(work) {
            warn(&self.path, &error);
            self.file = None;
        }
    }
}

impl StepLog<()> {
    /// Reads the steps of the run in `folder`, in order. Of a step repeated after a resume, the last record counts.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(folder: &Path) -> io::Result<Vec<StepLine>> {
        let mut steps: Vec<StepLine> = lines(&folder.join(STEPS))?;
        // The sort is stable, so the last written of equal steps stays last.
        steps.sort_by_key(|line| line.step);
        steps.reverse();
        steps.dedup_by_key(|line| line.step);
        steps.reverse();
        Ok(steps)
    }
}

/// A number, or `null` for NaN.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn warn(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "cannot log steps; the report will have no curves over steps");
}

impl<O: Observer> Observer for StepLog<O> {
    fn stream_opened(&mut self, ways: &str) {
        self.inner.stream_opened(ways);
    }

    fn features(&mut self, done: usize, total: usize) {
        self.inner.features(done, total);
    }

    fn step(&mut self, step: &StepEvent) {
        let line = StepLine {
            step: step.steps,
            epoch: step.epoch + 1,
            loss: step.report.loss,
            smoothed_loss: step.smoothed_loss,
            skipped: step.report.is_skipped,
            learning_rates: step.report.rates.to_vec(),
            momentum: step.report.momentum,
            images: step.images,
            seconds: step.took.as_secs_f64(),
            waited: step.waited.as_secs_f64(),
        };
        // A line survives a crash of the process immediately, and one of the machine after the sync at the end of its epoch.
        self.with_file(|file| write(file, &line));
        self.inner.step(step);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.with_file(|file| file.sync_data());
        self.inner.epoch(record);
    }
}

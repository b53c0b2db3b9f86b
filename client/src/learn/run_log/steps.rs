use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize};

use super::{lines, open, write};
use crate::learn::fit::{EpochRecord, Observer, StepEvent};

/// One step, as a line of `steps.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Steps done with it, over all epochs.
    pub step: u64,
    /// From 1.
    pub epoch: u64,
    /// Of this batch. Not a number where it was infinite, or none, and the step was skipped.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// As it is shown.
    #[serde(deserialize_with = "number")]
    pub smoothed_loss: f64,
    /// Whether the step was not taken, because a gradient was not finite. Only then it is written down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Of each layer group, from the first layers to the head.
    pub learning_rates: Vec<f64>,
    /// The optimizer's.
    pub momentum: f64,
    /// Images of the step.
    pub images: usize,
    /// How long it took, waiting included.
    pub seconds: f64,
    /// How long of that it waited for its batch.
    pub waited: f64,
}

pub(in crate::learn) const STEPS: &str = "steps.jsonl";

/// Writes `steps.jsonl`, and tells another observer.
#[derive(Debug)]
pub struct StepLog<O> {
    path: PathBuf,
    file: Option<File>,
    inner: O,
}

impl<O: Observer> StepLog<O> {
    /// Adds to the file of the run in `folder`, and tells `inner` everything.
    #[must_use]
    pub fn new(folder: &Path, inner: O) -> Self {
        let path = Self::path(folder);
        let file = open(&path).inspect_err(|error| warn(&path, error)).ok();
        Self { path, file, inner }
    }

    /// Who else is told.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join(STEPS)
    }

    /// Does something to the file, as long as that can be done.
    fn with_file(&mut self, work: impl FnOnce(&mut File) -> io::Result<()>) {
        if let Some(Err(error)) = self.file.as_mut().map(work) {
            warn(&self.path, &error);
            self.file = None;
        }
    }
}

impl StepLog<()> {
    /// The steps of the run in `folder`, in order. A step that was done again after a resumption counts as it was done last.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn read(folder: &Path) -> io::Result<Vec<StepLine>> {
        let mut steps: Vec<StepLine> = lines(&folder.join(STEPS))?;
        // Stable, so that of equal numbers the last written stays last.
        steps.sort_by_key(|line| line.step);
        steps.reverse();
        steps.dedup_by_key(|line| line.step);
        steps.reverse();
        Ok(steps)
    }
}

/// A number, or `null`, which is how JSON has what is none.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn warn(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "steps are not written down; the report will lack their curves");
}

impl<O: Observer> Observer for StepLog<O> {
    fn batches_come_by(&mut self, ways: &str) {
        self.inner.batches_come_by(ways);
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
        // A line survives the process at once, and the machine from the end of its epoch on.
        self.with_file(|file| write(file, &line));
        self.inner.step(step);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.with_file(|file| file.sync_data());
        self.inner.epoch(record);
    }
}

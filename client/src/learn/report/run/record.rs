//! The data of a run's folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::Error;
use crate::learn::{
    checkpoint::Checkpoint,
    finder::SweepPoint,
    fit::EpochRecord,
    interpret::Interpretation,
    metrics::{Metrics, RarestClasses},
    run::{RunConfig, RunFolder},
    run_log::{self, ClassSampling, Session, StepLine, StepLog},
};
use equibatch_stream::Position;

/// The data of a run's folder.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The folder.
    pub folder: PathBuf,
    /// Name of the run: that of its folder.
    pub name: String,
    /// Configuration.
    pub config: RunConfig,
    /// Epochs in order, without repetitions.
    pub epochs: Vec<EpochRecord>,
    /// Steps in order, without repetitions; empty if they were not logged.
    pub steps: Vec<StepLine>,
    /// Invocations of the program that trained the run.
    pub sessions: Vec<Session>,
    /// Training images and draws per class.
    pub class_sampling: Option<ClassSampling>,
    /// Metrics and images of largest loss.
    pub interpretation: Option<Interpretation>,
    /// The learning-rate sweep before training; empty if there was none.
    pub sweep: Vec<SweepPoint>,
    /// Stream position after the last batch.
    pub position: Option<Position>,
}

impl RunRecord {
    /// Reads the folder of a run.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if it contains no run, [`Error::Read`] if an existing file cannot be read.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let (_, config) = RunFolder::open(folder)?;
        let name = folder
            .file_name()
            .unwrap_or(folder.as_os_str())
            .to_string_lossy()
            .into_owned();
        let read = |name: &str| {
            let path = folder.join(name);
            move |source| Error::Read { path, source }
        };
        let mut epochs: Vec<EpochRecord> =
            run_log::lines(&folder.join("metrics.jsonl")).map_err(read("metrics.jsonl"))?;
        // Of an epoch repeated after a resume, the last record counts.
        epochs.reverse();
        epochs.sort_by_key(|record| record.epoch);
        epochs.dedup_by_key(|record| record.epoch);
        Ok(Self {
            name,
            config,
            epochs,
            steps: StepLog::read(folder).map_err(read("steps.jsonl"))?,
            sessions: Session::read(folder).map_err(read("sessions.jsonl"))?,
            class_sampling: ClassSampling::read(folder),
            interpretation: Interpretation::read(folder),
            sweep: sweep(folder),
            position: Checkpoint::progress(&folder.join("checkpoint.safetensors"))
                .and_then(|progress| progress.position),
            folder: folder.to_path_buf(),
        })
    }

    /// The metrics of the model: of its interpretation, otherwise of the last evaluated epoch.
    #[must_use]
    pub fn metrics(&self) -> Option<&Metrics> {
        let interpreted = self
            .interpretation
            .as_ref()
            .map(|interpretation| &interpretation.metrics);
        interpreted.or_else(|| self.epochs.iter().rev().find_map(|record| record.valid.as_ref()))
    }

    /// Completed steps, and steps of the whole run.
    #[must_use]
    pub fn steps_done(&self) -> (u64, u64) {
        let logged = self.steps.last().map(|line| line.step);
        let recorded = self.epochs.last().map(|record| record.steps);
        let done = logged.max(recorded).unwrap_or(0);
        // Without validation images, fewer heads are trained.
        let is_over = self.config.head_steps.is_some() && recorded.is_some();
        let total = if is_over {
            done
        } else {
            self.config.training_steps()
        };
        (done, total)
    }

    /// Steps that were skipped because a gradient was not finite.
    #[must_use]
    pub fn skipped_steps(&self) -> u64 {
        let logged = self.steps.iter().filter(|line| line.skipped).count() as u64;
        let recorded: u64 = self.epochs.iter().filter_map(|epoch| epoch.skipped_steps).sum();
        logged.max(recorded)
    }

    /// The classes with the fewest training images; `None` if the run did not record its classes.
    #[must_use]
    pub fn rarest(&self) -> Option<RarestClasses> {
        let class_sampling = self.class_sampling.as_ref()?;
        let images = class_sampling.images.iter().copied();
        RarestClasses::of(class_sampling.classes.iter().map(String::as_str).zip(images))
    }

    /// Number of images that replaced undecodable files, over all epochs.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.epochs.iter().map(|epoch| epoch.replaced as u64).sum()
    }

    /// Batches of each server that came with other bytes than it sent, over all epochs.
    #[must_use]
    pub fn damaged(&self) -> BTreeMap<&str, u64> {
        let mut damaged = BTreeMap::new();
        for (server, count) in self.epochs.iter().flat_map(|epoch| &epoch.damaged) {
            *damaged.entry(server.as_str()).or_default() += count;
        }
        damaged
    }
}

/// The points in `find-lr.json`; empty if there is no such file.
fn sweep(folder: &Path) -> Vec<SweepPoint> {
    #[derive(Deserialize)]
    struct Found {
        steps: Vec<SweepPoint>,
    }
    let text = fs::read_to_string(folder.join("find-lr.json")).unwrap_or_default();
    serde_json::from_str::<Found>(&text).map_or_else(|_| vec![], |found| found.steps)
}

//! What the folder of a run holds.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::Error;
use crate::learn::{
    checkpoint::Checkpoint,
    examine::Examination,
    finder::Point,
    fit::EpochRecord,
    journal::{self, Exposure, Session, StepLine, StepLog},
    metrics::{Figures, Rarest},
    run::{RunConfig, RunFolder},
};
use equibatch_stream::Position;

/// What the folder of a run holds.
#[derive(Clone, Debug)]
pub struct Record {
    /// The folder.
    pub folder: PathBuf,
    /// What the reader knows the run by.
    pub name: String,
    /// What decides its numbers.
    pub config: RunConfig,
    /// In order, each once.
    pub epochs: Vec<EpochRecord>,
    /// In order, each once; empty where they were not written down.
    pub steps: Vec<StepLine>,
    /// Calls of the program that worked on it.
    pub sessions: Vec<Session>,
    /// What is drawn of each class.
    pub exposure: Option<Exposure>,
    /// The images that the model was most wrong about.
    pub examination: Option<Examination>,
    /// What the learning-rate finder saw before the training; empty where nobody looked.
    pub sweep: Vec<Point>,
    /// Where the stream would go on.
    pub position: Option<Position>,
}

impl Record {
    /// Reads the folder of a run.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] where it holds no run, [`Error::Read`] where a file is there and cannot be read.
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
            journal::lines(&folder.join("metrics.jsonl")).map_err(read("metrics.jsonl"))?;
        // An epoch that was done again after a resumption counts as it was done last.
        epochs.reverse();
        epochs.sort_by_key(|record| record.epoch);
        epochs.dedup_by_key(|record| record.epoch);
        Ok(Self {
            name,
            config,
            epochs,
            steps: StepLog::read(folder).map_err(read("steps.jsonl"))?,
            sessions: Session::read(folder).map_err(read("sessions.jsonl"))?,
            exposure: Exposure::read(folder),
            examination: Examination::read(folder),
            sweep: sweep(folder),
            position: Checkpoint::progress(&folder.join("checkpoint.safetensors"))
                .and_then(|progress| progress.position),
            folder: folder.to_path_buf(),
        })
    }

    /// The figures of the model: of its examination, or of the last epoch that was judged.
    #[must_use]
    pub fn figures(&self) -> Option<&Figures> {
        let examined = self.examination.as_ref().map(|examination| &examination.figures);
        examined.or_else(|| self.epochs.iter().rev().find_map(|record| record.valid.as_ref()))
    }

    /// Steps done, and steps of the whole run.
    #[must_use]
    pub fn steps_done(&self) -> (u64, u64) {
        let logged = self.steps.last().map(|line| line.step);
        let recorded = self.epochs.last().map(|record| record.steps);
        let done = logged.max(recorded).unwrap_or(0);
        (done, self.config.total_steps())
    }

    /// Steps that were not taken, because a gradient was not finite.
    #[must_use]
    pub fn skipped_steps(&self) -> u64 {
        let logged = self.steps.iter().filter(|line| line.skipped).count() as u64;
        let recorded: u64 = self.epochs.iter().filter_map(|epoch| epoch.skipped_steps).sum();
        logged.max(recorded)
    }

    /// The classes with the fewest training images; `None` if the run did not write down what there is of each.
    #[must_use]
    pub fn rarest(&self) -> Option<Rarest> {
        let exposure = self.exposure.as_ref()?;
        let images = exposure.images.iter().copied();
        Rarest::of(exposure.classes.iter().map(String::as_str).zip(images))
    }

    /// Images that stood in the place of broken files, over all epochs.
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

/// The steps in `find-lr.json`; none where there is no such file.
fn sweep(folder: &Path) -> Vec<Point> {
    #[derive(Deserialize)]
    struct Found {
        steps: Vec<Point>,
    }
    let text = fs::read_to_string(folder.join("find-lr.json")).unwrap_or_default();
    serde_json::from_str::<Found>(&text).map_or_else(|_| vec![], |found| found.steps)
}

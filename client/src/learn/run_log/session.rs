use std::{collections::BTreeMap, io, path::Path};

use equibatch_cli::files;
use serde::{Deserialize, Serialize};

use super::{append, lines};
use equibatch_stream::{Background, DatasetDescription, DrawsChange, StreamDescription};

/// An invocation of the program that trained a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Command line, the program's name first.
    pub command: Vec<String>,
    /// Version of this program.
    pub version: String,
    /// Compute device.
    pub device: String,
    /// Server addresses, separated by commas.
    pub servers: String,
    /// Number of steps completed before.
    pub from_step: u64,
}

pub(in crate::learn) const SESSIONS: &str = "sessions.jsonl";
pub(in crate::learn) const STREAM: &str = "stream.json";

impl Session {
    /// Appends the session to the log of the run in `folder`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn append(&self, folder: &Path) -> io::Result<()> {
        append(&folder.join(SESSIONS), self)
    }

    /// Reads the sessions of the run in `folder`, in order.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(folder: &Path) -> io::Result<Vec<Self>> {
        lines(&folder.join(SESSIONS))
    }
}

/// Training images and draws per epoch of each class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSampling {
    /// Hash of the stream's specification, in hexadecimal.
    pub spec_hash: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Training images of each class.
    pub images: Vec<u64>,
    /// Draws per epoch of each class; if they change, before the change.
    pub draws: Vec<u64>,
    /// How they change over the epochs of the run, from 0, if the balance is a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<DrawsChange>,
    /// The natural images that those are mixed into, if the recipe mixes `from=natural`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    /// Total images of each split.
    pub splits: BTreeMap<String, u64>,
}

impl ClassSampling {
    /// From the descriptions of the dataset and of the stream, whose epochs are counted as those of the run.
    #[must_use]
    pub fn new(dataset: &DatasetDescription, stream: &StreamDescription) -> Self {
        let of = |split: &str| -> Vec<u64> {
            let classes = dataset.classes.iter();
            classes.map(|class| class.images(split).into()).collect()
        };
        let split = |split: &String| (split.clone(), of(split).iter().sum());
        Self {
            spec_hash: stream.spec_hash.clone(),
            classes: stream.classes.clone(),
            images: of("train"),
            draws: stream.draws_per_class.clone(),
            change: stream.draws_change.clone(),
            background: stream.background.clone(),
            splits: dataset.splits.iter().map(split).collect(),
        }
    }

    /// Writes `stream.json` into the run in `folder`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).expect("counts are plain data");
        files::replace(&folder.join(STREAM), format!("{text}\n").as_bytes())
    }

    /// Reads `stream.json` of the run in `folder`; `None` if it is missing or cannot be parsed.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(STREAM)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

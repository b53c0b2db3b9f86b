use std::{collections::BTreeMap, io, path::Path};

use equibatch_cli::files;
use serde::{Deserialize, Serialize};

use super::{append, lines};
use equibatch_stream::{DatasetDescription, StreamDescription};

/// One call of the program that worked on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// As typed, the program's name first.
    pub command: Vec<String>,
    /// Of this program.
    pub version: String,
    /// Where it computed.
    pub device: String,
    /// Whom it asked, separated by commas.
    pub servers: String,
    /// Steps that were done before it.
    pub from_step: u64,
}

pub(in crate::learn) const SESSIONS: &str = "sessions.jsonl";
pub(in crate::learn) const STREAM: &str = "stream.json";

impl Session {
    /// Adds itself to the run in `folder`.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn append(&self, folder: &Path) -> io::Result<()> {
        append(&folder.join(SESSIONS), self)
    }

    /// Those of the run in `folder`, the first one first.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn read(folder: &Path) -> io::Result<Vec<Self>> {
        lines(&folder.join(SESSIONS))
    }
}

/// What a run's stream draws, beside what there is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSampling {
    /// Hash of the request, in hexadecimal.
    pub spec_hash: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Training images of each class.
    pub images: Vec<u64>,
    /// How often each class is drawn in an epoch.
    pub draws: Vec<u64>,
    /// Images of all classes in each split.
    pub splits: BTreeMap<String, u64>,
}

impl ClassSampling {
    /// That of a stream of the dataset.
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
            splits: dataset.splits.iter().map(split).collect(),
        }
    }

    /// Writes itself into the run in `folder`.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).expect("counts are plain data");
        files::replace(&folder.join(STREAM), format!("{text}\n").as_bytes())
    }

    /// That of the run in `folder`; `None` where it was not written down.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(STREAM)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

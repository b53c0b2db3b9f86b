//! The folder of a training run: `config.json`, `metrics.jsonl`, `checkpoint.safetensors`, `model.onnx`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    atomic,
    checkpoint::{CHECKPOINT, Checkpoint, Error as CheckpointError},
};
use crate::{
    program::Head,
    stream::{Balance, Wire},
    weights::Source,
};

/// What can go wrong with a run's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A run would be overwritten.
    #[error("{} holds a run already; choose another --out, or continue it with --resume", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds no run.
    #[error("{} holds no run: {reason}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What is missing or unreadable.
        reason: String,
    },
    /// A file of the run could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What is asked for is not what the run was started with.
    #[error("cannot resume {}: {differences}", path.display())]
    Mismatch {
        /// The folder.
        path: PathBuf,
        /// What differs.
        differences: String,
    },
    /// The checkpoint is unusable.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Everything that decides the numbers of a run. Where it runs and whom it asks is not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the dataset.
    pub dataset: String,
    /// Its fingerprint, in hexadecimal.
    pub fingerprint: String,
    /// In label order.
    pub classes: Vec<String>,
    /// Name of the network, such as `resnet34`.
    pub arch: String,
    /// Name of the network's last layers: fastai or plain.
    #[serde(default = "fastai")]
    pub head: String,
    /// What went before.
    #[serde(default)]
    pub before: Before,
    /// Whether the body keeps everything but its batch norms.
    #[serde(default)]
    pub frozen: bool,
    /// Passes over the training images.
    pub epochs: u32,
    /// Batches per epoch.
    pub steps_per_epoch: u64,
    /// Peak of the one-cycle schedule, as [`LearningRates`](crate::schedule::LearningRates) reads it.
    pub max_lr: String,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Images per batch.
    pub batch_size: u32,
    /// Height and width in pixels.
    pub image_size: u32,
    /// How often each class is drawn.
    pub balance: Balance,
    /// Augmentation, resolved, in the server's text form. Empty in runs of before there was a choice: the default.
    #[serde(default)]
    pub recipe: String,
    /// What batches are made of on their way.
    #[serde(default)]
    pub wire: Wire,
    /// Seeds the stream, the initial weights and dropout.
    pub seed: u64,
    /// Per channel: red, green, blue.
    pub mean: [f32; 3],
    /// Per channel: red, green, blue.
    pub std: [f32; 3],
    /// Short side of the images that augmentation starts from, in pixels; 0: as decoded.
    pub canonical_short_side: u32,
}

fn fastai() -> String {
    Head::default().to_string()
}

/// What went before a run: where its first numbers come from, and what they have learnt already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// `none`, or the file that the network started from, as it was asked for.
    pub weights: String,
    /// BLAKE3 of that file, in hexadecimal; empty where there was none.
    pub weights_hash: String,
    /// Epochs of the stages before this one: the stream goes on behind them.
    pub epochs: u32,
    /// Steps of the stages before: dropout goes on behind them.
    pub steps: u64,
    /// Steps that the optimizer has taken with the moments that it starts with; 0 for a new one.
    pub optimizer_steps: u64,
}

impl Default for Before {
    /// Nothing.
    fn default() -> Self {
        Self {
            weights: Source::None.to_string(),
            weights_hash: String::new(),
            epochs: 0,
            steps: 0,
            optimizer_steps: 0,
        }
    }
}

impl Default for RunConfig {
    /// What training is like where nothing is said, on no images yet: the reference experiment's network, size, batch and optimizer;
    /// ten epochs, since a network that starts from nothing needs more than one that was trained before.
    fn default() -> Self {
        Self {
            dataset: String::new(),
            fingerprint: String::new(),
            classes: Vec::new(),
            arch: "resnet34".to_owned(),
            head: fastai(),
            before: Before::default(),
            frozen: false,
            epochs: 10,
            steps_per_epoch: 0,
            max_lr: "3e-3".to_owned(),
            weight_decay: 1e-2,
            batch_size: 64,
            image_size: 224,
            balance: Balance::Oversample,
            recipe: String::new(),
            wire: Wire::F32,
            seed: 42,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            canonical_short_side: 0,
        }
    }
}

impl RunConfig {
    /// Names every field in which `other` differs, in words; empty where none does.
    #[must_use]
    pub fn differences(&self, other: &Self) -> String {
        let fields = |config: &Self| match serde_json::to_value(config) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (mine, theirs) = (fields(self), fields(other));
        let differing = mine
            .iter()
            .filter(|(name, value)| theirs.get(*name) != Some(value));
        let words = differing.map(|(name, value)| match name.as_str() {
            "fingerprint" => "the dataset has changed since".to_owned(),
            _ => format!(
                "{name} was {value}, now {}",
                theirs.get(name).unwrap_or(&serde_json::Value::Null)
            ),
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] where it holds a run, [`Error::Write`] where it cannot be made.
    pub fn create(path: &Path, config: &RunConfig) -> Result<Self, Error> {
        let run = Self {
            path: path.to_path_buf(),
        };
        if run.config_path().exists() {
            return Err(Error::Occupied {
                path: path.to_path_buf(),
            });
        }
        fs::create_dir_all(path).map_err(|source| Error::Write {
            path: path.to_path_buf(),
            source,
        })?;
        let text = serde_json::to_string_pretty(config).expect("a configuration is plain data");
        run.write(&run.config_path(), format!("{text}\n").as_bytes())?;
        Ok(run)
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`] where there is no readable `config.json`.
    pub fn open(path: &Path) -> Result<(Self, RunConfig), Error> {
        let run = Self {
            path: path.to_path_buf(),
        };
        let no_run = |reason: String| Error::NoRun {
            path: path.to_path_buf(),
            reason,
        };
        let text = fs::read_to_string(run.config_path()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_run("there is no config.json".to_owned()),
            _ => no_run(format!("config.json cannot be read ({error})")),
        })?;
        let config = serde_json::from_str(&text)
            .map_err(|error| no_run(format!("config.json is not understood ({error})")))?;
        Ok((run, config))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model for inference.
    #[must_use]
    pub fn model_path(&self) -> PathBuf {
        self.path.join("model.onnx")
    }

    /// Where training continues.
    #[must_use]
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    fn config_path(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// Adds a line to `metrics.jsonl`.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn append_metrics(&self, record: &impl Serialize) -> Result<(), Error> {
        let path = self.path.join("metrics.jsonl");
        let line = serde_json::to_string(record).expect("figures are plain data");
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| writeln!(file, "{line}"));
        written.map_err(|source| Error::Write { path, source })
    }

    /// Replaces the checkpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; the old checkpoint then stays.
    pub fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.write(&self.checkpoint_path(), &checkpoint.to_bytes())
    }

    /// Reads the checkpoint, which must belong to `config`.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where it is unreadable, [`Error::Mismatch`] where it belongs to another run.
    pub fn load_checkpoint(&self, config: &RunConfig) -> Result<Checkpoint, Error> {
        let checkpoint = Checkpoint::load(&self.checkpoint_path())?;
        let differences = checkpoint.progress.config.differences(config);
        if differences.is_empty() {
            Ok(checkpoint)
        } else {
            Err(Error::Mismatch {
                path: self.path.clone(),
                differences,
            })
        }
    }

    /// Replaces a file of the run.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        atomic::replace(path, bytes).map_err(|source| Error::Write {
            path: path.to_path_buf(),
            source,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> RunConfig {
        RunConfig {
            dataset: "garden".to_owned(),
            fingerprint: "00ff".to_owned(),
            classes: vec!["bird".to_owned(), "flower".to_owned()],
            arch: "resnet18".to_owned(),
            epochs: 4,
            steps_per_epoch: 10,
            batch_size: 16,
            image_size: 64,
            balance: Balance::Power(0.5),
            recipe: "flip(p=0.5)".to_owned(),
            seed: 7,
            canonical_short_side: 74,
            ..RunConfig::default()
        }
    }

    #[test]
    fn a_run_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deep/run");
        RunFolder::create(&path, &config()).expect("made");
        let (_, read) = RunFolder::open(&path).expect("opened");
        assert_eq!(read, config());
    }

    #[test]
    fn a_run_is_not_overwritten_by_another() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        RunFolder::create(folder.path(), &config()).expect("made");
        let message = RunFolder::create(folder.path(), &config())
            .expect_err("occupied")
            .to_string();
        assert!(message.contains("--resume"), "{message}");
    }

    #[test]
    fn a_folder_without_a_run_is_named_with_what_is_missing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let message = RunFolder::open(folder.path()).expect_err("no run").to_string();
        assert_eq!(
            message,
            format!(
                "{} holds no run: there is no config.json",
                folder.path().display()
            )
        );
        fs::write(folder.path().join("config.json"), "{\"dataset\": 3}").expect("written");
        let message = RunFolder::open(folder.path()).expect_err("no run").to_string();
        assert!(message.contains("config.json is not understood"), "{message}");
    }

    #[test]
    fn differences_name_the_fields_with_both_values() {
        let other = RunConfig {
            arch: "resnet34".to_owned(),
            seed: 8,
            ..config()
        };
        assert_eq!(
            config().differences(&other),
            "arch was \"resnet18\", now \"resnet34\"; seed was 7, now 8"
        );
        assert_eq!(config().differences(&config()), "");
        let changed = RunConfig {
            fingerprint: "11".to_owned(),
            ..config()
        };
        assert_eq!(config().differences(&changed), "the dataset has changed since");
    }

    #[test]
    fn metrics_are_one_line_each() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let run = RunFolder::create(folder.path(), &config()).expect("made");
        for epoch in 1..=2 {
            run.append_metrics(&serde_json::json!({ "epoch": epoch }))
                .expect("written");
        }
        let text = fs::read_to_string(folder.path().join("metrics.jsonl")).expect("readable");
        assert_eq!(text, "{\"epoch\":1}\n{\"epoch\":2}\n");
    }
}

//! A training run: [what decides its numbers](RunConfig), and its folder with `config.json`, `metrics.jsonl`, `checkpoint.safetensors`, `model.onnx`.

mod config;
mod frozen;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

#[cfg(test)]
pub(crate) use self::config::tests::config as sample;
pub use self::config::{Before, RunConfig};
pub use self::frozen::{Frozen, expression};
use super::{
    atomic,
    checkpoint::{CHECKPOINT, Checkpoint, Error as CheckpointError},
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

    /// The model for inference of the epoch that was best.
    #[must_use]
    pub fn best_model_path(&self) -> PathBuf {
        self.path.join("best.onnx")
    }

    /// The checkpoint of the epoch that was best.
    #[must_use]
    pub fn best_checkpoint_path(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The checkpoint of an epoch, from 1, where those of the last epochs are kept.
    #[must_use]
    pub fn kept_path(&self, epoch: u32) -> PathBuf {
        self.path
            .join("checkpoints")
            .join(format!("epoch-{epoch:04}.safetensors"))
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

    /// Keeps what the checkpoint holds now as that of epoch `epoch`, from 1.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn keep_checkpoint(&self, epoch: u32) -> Result<(), Error> {
        let kept = self.kept_path(epoch);
        let made = match kept.parent() {
            Some(folder) => fs::create_dir_all(folder),
            None => Ok(()),
        };
        let written = made.and_then(|()| {
            let _not_there = fs::remove_file(&kept);
            // A checkpoint is replaced and never written over, so another name for it is as good as a copy.
            fs::hard_link(self.checkpoint_path(), &kept)
                .or_else(|_| fs::copy(self.checkpoint_path(), &kept).map(drop))
        });
        written.map_err(|source| Error::Write { path: kept, source })
    }

    /// Lets go of the checkpoint of epoch `epoch`, from 1, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn drop_checkpoint(&self, epoch: u32) -> Result<(), Error> {
        let path = self.kept_path(epoch);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Write { path, source }),
            _ => Ok(()),
        }
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
mod tests {
    use super::{sample as config, *};

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

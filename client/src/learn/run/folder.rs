use std::{
    fs, io,
    path::{Path, PathBuf},
};

use equibatch_cli::files::{self, WriteError, cannot_write};
use equibatch_training::program::ModelFile;
use serde::{Deserialize, Serialize};

use super::{config::RunConfig, error::Error};
use crate::learn::{
    checkpoint::{CHECKPOINT, Checkpoint, ResumeState},
    run_log, tensorboard,
};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Folders that were created for it, the innermost first.
    created: Vec<PathBuf>,
}

/// Files that a run may have before its first epoch ends, besides TensorBoard's.
const FIRST_FILES: [&str; 9] = [
    CONFIG,
    run_log::STREAM,
    CHECKPOINT,
    METRICS,
    run_log::STEPS,
    run_log::SESSIONS,
    "find-lr.png",
    "find-lr.svg",
    "find-lr.json",
];
const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
/// Folder of the checkpoints of the last epochs.
const KEPT: &str = "checkpoints";

impl RunFolder {
    /// Creates the folder of a new run.
    ///
    /// # Errors
    ///
    /// Those of [`RunFolder::check_free`], and [`Error::Write`] if it cannot be created.
    pub fn create(path: &Path, config: &RunConfig) -> Result<Self, Error> {
        Self::check_free(path)?;
        let created = files::create_folder(path).map_err(cannot_write(path))?;
        let run = Self {
            path: path.to_path_buf(),
            created,
        };
        let text = serde_json::to_string_pretty(config).expect("a configuration is plain data");
        files::write(&run.config_path(), format!("{text}\n").as_bytes())?;
        Ok(run)
    }

    /// Checks that a new run at `path` overwrites nothing: the folder is missing or empty, or contains only a run that was killed before
    /// its first checkpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] if it contains a run, [`Error::NotEmpty`] if it contains anything else, [`Error::NoRun`] if it cannot be read.
    pub fn check_free(path: &Path) -> Result<(), Error> {
        let names = match names(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            names => names.map_err(|error| Error::NoRun {
                path: path.to_path_buf(),
                reason: error.to_string(),
            })?,
        };
        let path = || path.to_path_buf();
        if names.iter().any(|name| name == CHECKPOINT) {
            return Err(Error::Occupied { path: path() });
        }
        let is_run = Self::open(&path()).is_ok();
        let is_left =
            |name: &str| files::is_temporary(name) || is_run && [CONFIG, run_log::STREAM].contains(&name);
        match names.into_iter().find(|name| !is_left(name)) {
            Some(_) if is_run => Err(Error::Occupied { path: path() }),
            Some(found) => Err(Error::NotEmpty { path: path(), found }),
            None => Ok(()),
        }
    }

    /// Deletes temporary files left by a killed process.
    pub fn remove_temporary(&self) {
        files::remove_temporary(&self.path);
        files::remove_temporary(&self.path.join(KEPT));
    }

    /// Deletes a run without completed steps: its files, and the folders created for it. Other files, and what cannot be deleted, stay.
    pub fn discard(self) {
        for name in names(&self.path).unwrap_or_default() {
            let is_own = FIRST_FILES.contains(&&*name)
                || tensorboard::is_event_file(&name)
                || files::is_temporary(&name);
            if is_own {
                let _stays = fs::remove_file(self.path.join(name));
            }
        }
        files::remove_empty(&self.created);
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`] if `config.json` is missing or cannot be parsed.
    pub fn open(path: &Path) -> Result<(Self, RunConfig), Error> {
        let run = Self {
            path: path.to_path_buf(),
            created: vec![],
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
            .map_err(|error| no_run(format!("cannot parse config.json ({error})")))?;
        Ok((run, config))
    }

    /// Path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the model for inference.
    #[must_use]
    pub fn model_path(&self) -> PathBuf {
        self.path.join("model.onnx")
    }

    /// Path of the checkpoint from which training continues.
    #[must_use]
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// Path of the best epoch's model.
    #[must_use]
    pub fn best_model_path(&self) -> PathBuf {
        self.path.join("best.onnx")
    }

    /// Path of the best epoch's checkpoint.
    #[must_use]
    pub fn best_checkpoint_path(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// Path of the checkpoint of an epoch, from 1, if it is kept.
    #[must_use]
    pub fn kept_path(&self, epoch: u32) -> PathBuf {
        self.path.join(KEPT).join(format!("epoch-{epoch:04}.safetensors"))
    }

    fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn append_metrics(&self, record: &impl Serialize) -> Result<(), WriteError> {
        let path = self.path.join(METRICS);
        run_log::append(&path, record).map_err(cannot_write(&path))
    }

    /// Removes from `metrics.jsonl` and `steps.jsonl` the lines of epochs and steps after the checkpoint of `progress`, which are repeated.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn rewind(&self, progress: &ResumeState) -> Result<(), WriteError> {
        #[derive(Deserialize)]
        struct Epoch {
            epoch: u64,
        }
        #[derive(Deserialize)]
        struct Step {
            step: u64,
        }
        let closed = progress.epochs_closed();
        let metrics = self.path.join(METRICS);
        run_log::retain(&metrics, |line: &Epoch| line.epoch <= closed).map_err(cannot_write(&metrics))?;
        let steps = self.path.join(run_log::STEPS);
        run_log::retain(&steps, |line: &Step| line.step <= progress.steps).map_err(cannot_write(&steps))
    }

    /// Replaces the checkpoint.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the old checkpoint remains.
    pub fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), WriteError> {
        Self::save_checkpoint_as(checkpoint, &self.checkpoint_path(), None)
    }

    /// Saves a checkpoint at `path`. If `same` is a file of the same checkpoint, `path` becomes a hard link to it, if the file system has them.
    ///
    /// # Errors
    ///
    /// If it cannot be written; an existing file remains.
    pub fn save_checkpoint_as(
        checkpoint: &Checkpoint,
        path: &Path,
        same: Option<&Path>,
    ) -> Result<(), WriteError> {
        if let Some(folder) = path.parent() {
            files::create_folder(folder).map_err(cannot_write(folder))?;
        }
        let written = match same {
            None => files::replace_with(path, |file| checkpoint.write(file)),
            Some(same) => files::link(same, path),
        };
        written.map_err(cannot_write(path))
    }

    /// Makes the current model that of the best epoch, as a hard link.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the old one remains.
    pub fn save_best_model(&self) -> Result<(), WriteError> {
        let best = self.best_model_path();
        files::link(&self.model_path(), &best).map_err(cannot_write(&best))
    }

    /// Deletes the kept checkpoint of epoch `epoch`, from 1, if there is one.
    ///
    /// # Errors
    ///
    /// If it cannot be deleted.
    pub fn drop_checkpoint(&self, epoch: u32) -> Result<(), WriteError> {
        let path = self.kept_path(epoch);
        match files::remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path)(error)),
            _ => Ok(()),
        }
    }

    /// The resume state in the run's checkpoint; the initial state of `config` if it cannot be read.
    #[must_use]
    pub fn progress(&self, config: &RunConfig) -> ResumeState {
        Checkpoint::progress(&self.checkpoint_path()).unwrap_or_else(|| ResumeState::new(config.clone()))
    }

    /// Reads the checkpoint, which must belong to `config`.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if it cannot be read, [`Error::Mismatch`] if its configuration differs.
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

    /// Replaces the model.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the old model remains.
    pub fn save_model(&self, model: &ModelFile<'_>) -> Result<(), WriteError> {
        let path = self.model_path();
        files::replace_with(&path, |file| model.write(file)).map_err(cannot_write(&path))
    }
}

/// File names in a folder, converted lossily to UTF-8.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    fs::read_dir(folder)?.map(name).collect()
}

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use equibatch_cli::files::WriteError;

use crate::learn::checkpoint::Error as CheckpointError;

/// Why a run's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder already contains a run.
    #[error("{} already contains a run; choose another --out, or continue it with --resume", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The folder contains other files, which are never overwritten.
    #[error("{} is not empty: it contains {found:?}, which does not belong to a run; choose another --out", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// One of its files.
        found: String,
    },
    /// The folder contains no run.
    #[error("{} contains no run: {reason}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What is missing or unreadable.
        reason: String,
    },
    /// A file of the run could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The requested settings differ from those that the run was started with.
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

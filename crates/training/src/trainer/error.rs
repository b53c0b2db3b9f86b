use std::{io, path::PathBuf};

use crate::{graph::import, nn, program, runtime};

/// Error of a trainer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The file is not a supported ONNX model.
    #[error("cannot use {} as a model", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: import::Error,
    },
    /// A layer of the network cannot be replaced.
    #[error(transparent)]
    Network(#[from] nn::import::Error),
    /// The builder lacks a setting, or one is invalid.
    #[error("cannot build the trainer: {reason}")]
    Setting {
        /// The setting, and what is accepted.
        reason: String,
    },
    /// A tensor of the state does not match the model.
    #[error("cannot use the state: {reason}")]
    State {
        /// The tensor, and the difference.
        reason: String,
    },
    /// An array of a batch does not match the program.
    #[error("cannot use `{name}` in a step: {reason}")]
    Batch {
        /// The input.
        name: String,
        /// The difference.
        reason: String,
    },
    /// The loss or a gradient is infinite or NaN.
    #[error(
        "the loss ({loss}) or a gradient of step {step} is infinite or NaN; the state is that before the step"
    )]
    NotFinite {
        /// The loss.
        loss: f64,
        /// The step, counted from 1.
        step: u64,
    },
    /// The training step cannot be compiled.
    #[error("cannot compile the training step")]
    Program(#[from] program::Error),
    /// The program cannot be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

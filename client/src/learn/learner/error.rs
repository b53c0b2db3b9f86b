use crate::{
    learn::network,
    weights::{self, Mismatch},
};
use equibatch_stream::Position;
use equibatch_training::{program, runtime, trainer};

/// Why a model cannot be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is invalid.
    #[error("cannot train: {reason}")]
    Setting {
        /// The setting, and why it is invalid.
        reason: String,
    },
    /// A tensor of the checkpoint does not match the model.
    #[error("cannot continue from the checkpoint: {reason}")]
    Checkpoint {
        /// The tensor, and the difference.
        reason: String,
    },
    /// The pretrained weights cannot be used.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// The network file cannot be used.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The loss or a gradient is infinite or NaN.
    #[error(
        "{what} became infinite or NaN at epoch {epoch} step {step} (loss {loss}), learning rate {learning_rate:.2e}, in the batch of {batch}; \
         this step was rolled back, and the checkpoint is unchanged; try a lower --max-lr or --clip-norm 1, or inspect the batch with \
         `server explain`"
    )]
    Diverged {
        /// `the loss` or `a gradient`.
        what: &'static str,
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: u64,
        /// Step, from 1.
        step: u64,
        /// Largest learning rate of all layer groups.
        learning_rate: f64,
        /// Position token of the batch.
        batch: Box<Position>,
    },
    /// The loss or a gradient of the head is infinite or NaN.
    #[error(
        "the loss or a gradient of the head became infinite or NaN at step {step} of the head (loss {loss}); try a lower --max-lr or --clip-norm 1"
    )]
    HeadDiverged {
        /// The loss.
        loss: f64,
        /// Step, from 1.
        step: u64,
    },
    /// Gradients overflowed half precision at the minimum loss scale.
    #[error(
        "the gradients were not finite at epoch {epoch} step {step} even at the minimum loss scale of 1/16384 (loss {loss}); try \
         --precision bf16, or a lower --max-lr"
    )]
    Overflow {
        /// The unscaled loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: u64,
        /// Step, from 1.
        step: u64,
    },
    /// The training step cannot be compiled.
    #[error("cannot compile the training step")]
    Program(#[from] program::Error),
    /// The program cannot be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl Error {
    /// Whether the cause is the network file.
    #[must_use]
    pub fn is_of_a_file(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Program(program::Error::Network(_)))
    }
}

impl From<trainer::Error> for Error {
    fn from(error: trainer::Error) -> Self {
        match error {
            trainer::Error::State { reason } => Self::Checkpoint { reason },
            trainer::Error::Program(error) => Self::Program(error),
            trainer::Error::Runtime(error) => Self::Runtime(error),
            error => Self::Setting {
                reason: error.to_string(),
            },
        }
    }
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::Weights(mismatch.into())
    }
}

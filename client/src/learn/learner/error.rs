use crate::{
    learn::network,
    weights::{self, Mismatch},
};
use equibatch_stream::Position;
use equibatch_training::{program, runtime};

/// What can go wrong while a model learns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting does not make sense.
    #[error("cannot train: {reason}")]
    Setting {
        /// Which and why.
        reason: String,
    },
    /// A checkpoint's tensor does not fit the model.
    #[error("cannot continue from the checkpoint: {reason}")]
    Checkpoint {
        /// Which tensor and why.
        reason: String,
    },
    /// Weights to start from cannot be used.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// The file of the network cannot be used.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The loss or a gradient left the finite numbers.
    #[error(
        "{what} became infinite or NaN at epoch {epoch} step {step} (loss {loss}), learning rate {learning_rate:.2e}, in the batch of {batch}; \
         nothing of this step is kept, and the checkpoint is as it was; try a lower --max-lr or --clip-norm 1, or look at that batch with \
         `server explain`"
    )]
    Diverged {
        /// `the loss` or `a gradient`.
        what: &'static str,
        /// The loss.
        loss: f64,
        /// From 1.
        epoch: u64,
        /// From 1.
        step: u64,
        /// The largest of all layer groups.
        learning_rate: f64,
        /// The token of the batch.
        batch: Box<Position>,
    },
    /// Gradients left half precision however little the loss was scaled.
    #[error(
        "the gradients were not finite at epoch {epoch} step {step}, although the loss (of {loss}) was scaled by no more than 1/16384; try \
         --precision bf16, or a lower --max-lr"
    )]
    Overflow {
        /// The loss, as it was before it was scaled.
        loss: f64,
        /// From 1.
        epoch: u64,
        /// From 1.
        step: u64,
    },
    /// The program could not be compiled.
    #[error("cannot compile the training step")]
    Program(#[from] program::Error),
    /// The program could not be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl Error {
    /// Whether the file that the network is read from is what cannot be used.
    #[must_use]
    pub fn is_of_a_file(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Program(program::Error::Network(_)))
    }
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::Weights(mismatch.into())
    }
}

//! Arguments for checkpoints and early stopping.

use std::num::NonZeroU64;

use clap::Args;
use equibatch_cli::value::at_least;

use crate::learn::metrics::Metric;

/// Checkpoints and early stopping.
#[derive(Clone, Debug, Args)]
pub struct CheckpointArgs {
    /// Keep the model of the best epoch as best.safetensors and best.onnx, by a validation metric: loss, accuracy, error_rate,
    /// balanced_accuracy, macro_f1, auroc, worst_recall, mcc, ece, top:K, recall:CLASS, precision:CLASS or f1:CLASS.
    #[arg(long, value_name = "METRIC")]
    pub save_best: Option<Metric>,
    /// Stop after this many consecutive epochs without improvement of the --save-best metric, or of the validation loss without
    /// --save-best (patience).
    #[arg(long, value_name = "EPOCHS", value_parser = at_least(1_u32))]
    pub early_stopping: Option<u32>,
    /// Keep the checkpoints of the last N epochs in the run's folder `checkpoints`.
    #[arg(long, value_name = "N", value_parser = at_least(0_u32))]
    pub keep_checkpoints: Option<u32>,
    /// Also save a checkpoint every N steps, counted over all epochs, so that a killed run loses less than an epoch. May be changed with
    /// --resume. [default: at the end of each epoch only]
    #[arg(long, value_name = "N")]
    pub checkpoint_every: Option<NonZeroU64>,
}

//! What is kept of a run, and when it ends before its time.

use std::num::NonZeroU64;

use clap::Args;
use equibatch_cli::value::at_least;

use crate::learn::metrics::Metric;

/// What is kept of a run, and when it ends before its time.
#[derive(Clone, Debug, Args)]
pub struct CheckpointArgs {
    /// Keep the epoch that is best on the validation images as best.safetensors and best.onnx: by loss, accuracy, error_rate,
    /// balanced_accuracy, macro_f1, auroc, top:K, recall:CLASS, precision:CLASS or f1:CLASS.
    #[arg(long, value_name = "METRIC")]
    pub save_best: Option<Metric>,
    /// End when so many epochs in a row were no better than the best one, by the metric of --save-best or else by the loss.
    #[arg(long, value_name = "EPOCHS", value_parser = at_least(1_u32))]
    pub early_stopping: Option<u32>,
    /// Keep the checkpoints of the last N epochs, in the run's folder `checkpoints`.
    #[arg(long, value_name = "N", value_parser = at_least(0_u32))]
    pub keep_checkpoints: Option<u32>,
    /// Save a checkpoint every N steps as well, counted over all epochs, so that a run that is killed loses less than an epoch. Typed with
    /// --resume, it may be another number than before. [default: at the end of each epoch only]
    #[arg(long, value_name = "N")]
    pub checkpoint_every: Option<NonZeroU64>,
}

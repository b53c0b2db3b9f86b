//! `client find-lr`.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use equibatch_cli::value::{at_least, non_zero};

use super::{Execution, Server, TrainingSetup};
use crate::learn::finder::SweepRange;
use equibatch_training::runtime::Operators;

/// `client find-lr`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client find-lr --weights resnet34.safetensors       for a new head on a frozen body
  client find-lr --load stage-1 --unfreeze            for all layers, after a first stage; stage-1 is not modified
  client find-lr --load runs/flowers --json | jq .suggestions.valley")]
pub struct FindLr {
    /// Servers and credentials.
    #[command(flatten)]
    pub server: Server,
    /// Device and threads.
    #[command(flatten)]
    pub execution: Execution,
    /// Images, network and loss.
    #[command(flatten)]
    pub setup: TrainingSetup,
    /// First learning rate.
    #[arg(long, value_name = "RATE", default_value_t = SweepRange::default().start, value_parser = rate)]
    pub start_lr: f64,
    /// End of the range of learning rates, exclusive.
    #[arg(long, value_name = "RATE", default_value_t = SweepRange::default().end, value_parser = rate)]
    pub end_lr: f64,
    /// Number of training steps, one per learning rate.
    #[arg(long, value_name = "N", default_value_t = SweepRange::default().steps, value_parser = at_least(1_u64))]
    pub steps: u64,
    /// Do not stop early if the smoothed loss exceeds four times its minimum or is NaN.
    #[arg(long)]
    pub no_stop: bool,
    /// Operators of the training step, as for `client train`.
    #[arg(long, value_name = "CHOICE", default_value_t = Operators::Auto)]
    pub operators: Operators,
    /// Batches to prefetch.
    #[arg(long, value_name = "N", default_value = "3", value_parser = non_zero)]
    pub prefetch: NonZeroUsize,
    /// Folder for the plot and the data. Default: a new folder below runs/.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print steps and suggestions as one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl FindLr {
    /// The range of learning rates.
    #[must_use]
    pub fn range(&self) -> SweepRange {
        SweepRange {
            start: self.start_lr,
            end: self.end_lr,
            steps: self.steps,
            stops: !self.no_stop,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("expected a number above 0".to_owned()),
    }
}

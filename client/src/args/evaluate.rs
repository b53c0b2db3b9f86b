//! `client evaluate`.

use std::path::PathBuf;

use clap::Args;
use equibatch_cli::value::at_least;

use super::{AdjustArgs, Execution, Server};
use equibatch_stream::Split;

/// `client evaluate`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client evaluate runs/flowers                        metrics and confusion matrix on the validation split
  client evaluate runs/natural runs/flowers           two models side by side
  client evaluate runs/flowers --split test --json
  client evaluate runs/flowers --split test --temperature fit --threshold balanced-accuracy    both fitted to the validation images")]
pub struct Evaluate {
    /// Servers and credentials.
    #[command(flatten)]
    pub server: Server,
    /// Device and threads.
    #[command(flatten)]
    pub execution: Execution,
    /// Run folders. Results are written to the same folders.
    #[arg(value_name = "RUN", required_unless_present_any = ["run", "model"])]
    pub runs: Vec<PathBuf>,
    /// Run folder, the same as RUN. May be repeated.
    #[arg(long, value_name = "DIR")]
    pub run: Vec<PathBuf>,
    /// Model file. Results are written to its folder. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Split to evaluate on: train, valid or test.
    #[arg(long, default_value_t = Split::Valid)]
    pub split: Split,
    /// Dataset name. Default: that of the run, or the server's only dataset.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Images per batch. Affects speed only.
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least(1_u32))]
    pub batch_size: u32,
    /// Adjustments.
    #[command(flatten)]
    pub adjust: AdjustArgs,
    /// Test-time augmentation (fastai): average the predictions of the plain image (weight 0.4) and of eight zoomed crops, the four
    /// corners each with and without flip, under the training recipe. Takes nine times as long.
    #[arg(long)]
    pub tta: bool,
    /// Print metrics as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

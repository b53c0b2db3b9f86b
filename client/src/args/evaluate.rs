//! `client evaluate`.

use std::path::PathBuf;

use clap::Args;
use equibatch_cli::value::at_least;

use super::{AdjustArgs, Execution, Server};
use crate::learn::tta::Views;
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
    /// Test-time augmentation: average the probabilities of several views of each image, which takes two to nine times as long.
    /// [default of VIEWS: dihedral if the training recipe has it, otherwise crops]
    #[arg(long, value_name = "VIEWS", num_args = 0..=1, require_equals = true)]
    pub tta: Option<Option<Views>>,
    /// Print metrics as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

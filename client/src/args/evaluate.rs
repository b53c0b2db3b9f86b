//! Judging models.

use std::path::PathBuf;

use clap::Args;
use equibatch_cli::value::at_least;

use super::{Execution, Server};
use equibatch_stream::Split;

/// `client evaluate`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client evaluate runs/flowers                        on the validation images, with the confusion matrix
  client evaluate runs/natural runs/flowers           two models side by side
  client evaluate runs/flowers --split test --json")]
pub struct Evaluate {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub server: Server,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    /// Folders of training runs. Results are written there.
    #[arg(value_name = "RUN", required_unless_present_any = ["run", "model"])]
    pub runs: Vec<PathBuf>,
    /// Another way to name a run.
    #[arg(long, value_name = "DIR")]
    pub run: Vec<PathBuf>,
    /// A model file. Results are written beside it.
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Which part of the dataset: train, valid or test.
    #[arg(long, default_value_t = Split::Valid)]
    pub split: Split,
    /// Which dataset; by default the one that the run was trained on, or the server's only one.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Images per batch. Changes the speed only.
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least(1_u32))]
    pub batch_size: u32,
    /// Test-time augmentation: average what the model makes of nine views of each image, the plain one by two fifths and eight zoomed
    /// corners, mirrored and not, with the augmentation it was trained with. Takes nine times as long.
    #[arg(long)]
    pub tta: bool,
    /// Print the figures as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

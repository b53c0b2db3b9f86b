//! `client report`.

use std::path::PathBuf;

use clap::Args;
use equibatch_cli::value::within;

use super::{Execution, Server};
use equibatch_stream::Split;

/// `client report`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client report runs/flowers                              regenerates runs/flowers/report.html from the files of the run
  client report runs/flowers --evaluate --top-losses 24   evaluates the model again first, and shows the 24 top losses
  client report runs/flowers --evaluate --split test      on the test split")]
pub struct Report {
    /// Run folders.
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Evaluate the model again on images from the server. Without it, only the files of the run are used.
    #[arg(long, alias = "judge")]
    pub evaluate: bool,
    /// With --evaluate, split to evaluate on: train, valid or test.
    #[arg(long, default_value_t = Split::Valid, requires = "evaluate")]
    pub split: Split,
    /// With --evaluate, number of images with the highest loss to show, from 0 to 1000.
    #[arg(long, alias = "worst", value_name = "N", default_value_t = 12, requires = "evaluate", value_parser = within(0..=1000_u16))]
    pub top_losses: u16,
    /// Servers and credentials.
    #[command(flatten)]
    pub server: Server,
    /// Device and threads.
    #[command(flatten)]
    pub execution: Execution,
}

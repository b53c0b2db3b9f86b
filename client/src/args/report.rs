//! `client report`.

use std::path::PathBuf;

use clap::Args;
use equibatch_cli::value::within;

use super::{Execution, Server};
use equibatch_stream::Split;

/// `client report`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client report runs/flowers                          makes runs/flowers/report.html again from the files of the run
  client report runs/flowers --judge --worst 24       judges the model again first, and shows more of what it was wrong about
  client report runs/flowers --judge --split test     on the test images")]
pub struct Report {
    /// Folders of training runs.
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Ask the server for the images, and judge the model on them again. Without it, nothing but the files of the run is needed.
    #[arg(long)]
    pub judge: bool,
    /// With --judge: which part of the dataset: train, valid or test.
    #[arg(long, default_value_t = Split::Valid, requires = "judge")]
    pub split: Split,
    /// With --judge: how many of the images of largest loss are shown.
    #[arg(long, value_name = "N", default_value_t = 12, requires = "judge", value_parser = within(0..=1000_u16))]
    pub worst: u16,
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
}

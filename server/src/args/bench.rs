//! Arguments of `bench`.

use std::num::NonZeroUsize;

use clap::Args;
use equibatch_cli::value::{non_zero, within};

use crate::bench::Stage;

/// Arguments of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server bench                                         every stage, on generated images
  server bench --data pets --only decode,stream
  server bench --json > bench.json

Exit codes: 0 success, 64 usage error, 66 no such folder or no images, 74 I/O or system error.")]
pub struct Bench {
    /// Folder with one subfolder of images per class; a name before it is accepted as for `serve`, and ignored. Default: 220 generated
    /// images of two classes in a temporary folder.
    #[arg(long, value_name = "[NAME=]DIR")]
    pub data: Option<String>,
    /// Stages to measure, comma-separated. Default: all.
    #[arg(long, value_enum, value_name = "STAGES", value_delimiter = ',')]
    pub only: Vec<Stage>,
    /// Worker threads that decode and augment, from 1 to 1024. Default: the number of CPUs available to this process.
    #[arg(long, value_name = "N", value_parser = within(1..=1024_usize))]
    pub threads: Option<usize>,
    /// Number of rounds; the stages are measured in turn in each round, and medians are reported.
    #[arg(long, value_name = "N", default_value = "5", value_parser = non_zero)]
    pub rounds: NonZeroUsize,
    /// Approximate duration of each measurement, in seconds, from 0 to 3600; at least one batch is made.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.5)]
    pub seconds: f64,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    pub json: bool,
}

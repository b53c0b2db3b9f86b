//! Options of the command that measures.

use clap::{Args, ValueEnum};

use equibatch_cli::value::{at_least, within};

/// Options of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server bench                                         every stage, on drawn images
  server bench --data pets --only decode,stream
  server bench --json > bench.json

Exit codes: 0 done, 64 senseless options, 66 no such folder or no images, 74 the system refused.")]
pub struct Bench {
    /// A folder with one folder of images per class; a name before it is taken as in `serve`, and has no meaning here. Default: images
    /// drawn into a temporary folder, 200 of one class and 20 of another.
    #[arg(long, value_name = "[NAME=]DIR")]
    pub data: Option<String>,
    /// Only these stages, separated by commas.
    #[arg(long, value_enum, value_name = "STAGES", value_delimiter = ',')]
    pub only: Vec<Stage>,
    /// Threads that decode and augment. Default: as many as this process may use processors.
    #[arg(long, value_name = "N", value_parser = within(1..=1024_usize))]
    pub threads: Option<usize>,
    /// How often each measurement has its turn; figures are medians.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least(1_usize))]
    pub rounds: usize,
    /// About how long a turn takes, in seconds. It makes one batch at least.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.5)]
    pub seconds: f64,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// A stage of `bench`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Stage {
    /// Which sample stands where, of 10 million in 1,000 classes.
    Plan,
    /// Decoded images to batches.
    Engine,
    /// Finding decoded images.
    Cache,
    /// Files to decoded images.
    Decode,
    /// Batches to a receiver, and the same bytes through plain sockets.
    Stream,
}

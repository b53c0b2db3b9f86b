use clap::Args;
use equibatch_cli::value::within;

use super::Train;
use crate::learn::compare::Arm;
use equibatch_stream::Split;

/// `client compare`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client compare --repeats 5 --out runs/compare                              natural against balanced, with five seeds
  client compare --arms natural,oversample,weighted --repeats 5              and against weights in the loss
  client compare --arms natural,power:0.5 --split test --epochs 5 --json     half way, on other images, for a script")]
pub struct Compare {
    /// Ways of training, separated by commas: natural, oversample, undersample, power:X, effective:BETA, or weighted (a natural stream whose rare classes
    /// weigh more in the loss, as --class-weights inverse; also weighted:effective:BETA). The first one is what the others are tested against.
    /// All of them take the same number of steps: an epoch has as many images as the longest of them, or --images-per-epoch.
    #[arg(
        long,
        value_name = "ARM,...",
        value_delimiter = ',',
        default_value = "natural,oversample"
    )]
    pub arms: Vec<Arm>,
    /// Trainings of each, with the seeds --seed, --seed + 1, and so on. Each trains its own network; the split is the server's and the
    /// same for all.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = within(1..=1000_u32))]
    pub repeats: u32,
    /// Which images to judge on: valid, or test.
    #[arg(long, value_name = "SPLIT", default_value_t = Split::Valid)]
    pub split: Split,
    /// Print the comparison as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub train: Train,
}

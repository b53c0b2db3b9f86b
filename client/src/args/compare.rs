use clap::Args;
use equibatch_cli::value::within;

use super::Train;
use crate::learn::compare::Arm;
use equibatch_stream::Split;

/// `client compare`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client compare --repeats 5 --out runs/compare                              natural and balanced sampling, with five seeds
  client compare --arms natural,oversample,weighted --repeats 5              and class weights in the loss
  client compare --arms natural,power:0.5 --split test --epochs 5 --json     partial balancing, on the test split, as JSON")]
pub struct Compare {
    /// Methods to compare, comma-separated: natural, oversample, undersample, power:X, effective:BETA, or weighted (natural sampling with
    /// --class-weights inverse; also weighted:effective:BETA). The first is the baseline of the tests. All methods train for the same
    /// number of steps: images per epoch are those of the longest, or --images-per-epoch.
    #[arg(
        long,
        value_name = "ARM,...",
        value_delimiter = ',',
        default_value = "natural,oversample"
    )]
    pub arms: Vec<Arm>,
    /// Runs per method, with seeds --seed, --seed + 1, and so on, from 1 to 1000. The split is the same for all.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = within(1..=1000_u32))]
    pub repeats: u32,
    /// Split to evaluate on: valid or test.
    #[arg(long, value_name = "SPLIT", default_value_t = Split::Valid)]
    pub split: Split,
    /// Print the comparison as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    /// How the arms are trained.
    #[command(flatten)]
    pub train: Train,
}

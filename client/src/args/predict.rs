//! Using models.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use equibatch_cli::value::{at_least, within};

use super::Execution;

/// `client predict`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client predict --model runs/flowers new/            every image below a folder
  client predict --model runs/flowers/model.onnx --format csv new/*.jpg > predictions.csv
  client predict --model runs/flowers --json new/*.jpg | jq .image")]
pub struct Predict {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    /// A model file that `client train` or `client export` has written, or the folder of a training run.
    #[arg(long, value_name = "FILE|RUN")]
    pub model: PathBuf,
    /// How results are printed: table (for people), csv (with a header), or json (one object a line). A file that cannot be used is a
    /// line with its error, and the command then ends with 65.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// How many of the likeliest classes to print.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = at_least(1_u32))]
    pub top: u32,
    /// Test-time augmentation: average what the model makes of nine views of each image, as `client evaluate --tta` does.
    #[arg(long)]
    pub tta: bool,
    /// Images per run of the model. Changes the speed only.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = within(1..=4096_u32))]
    pub batch_size: u32,
    /// A file with paths of images and folders, one a line; - for standard input.
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,
    /// Image files (JPEG, PNG, WebP, BMP or GIF), folders, which are searched to the bottom, or - for one image on standard input.
    #[arg(value_name = "IMAGE|DIR", required_unless_present = "files_from")]
    pub images: Vec<PathBuf>,
}

/// Choices of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// Comma-separated values.
    Csv,
    /// One object a line.
    Json,
}

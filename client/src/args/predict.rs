//! `client predict`.

use std::path::PathBuf;

use clap::Args;
use equibatch_cli::value::{at_least, within};

use super::{Execution, PriorArgs};
use crate::learn::{adjustments, card::CROP_SHARES, predict::print::PrintFormat, tta::Views};

/// `client predict`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client predict --model runs/flowers new/            every image below a folder
  client predict --model runs/flowers/model.onnx --format csv new/*.jpg > predictions.csv
  client predict --model runs/flowers --json new/*.jpg | jq .image")]
pub struct Predict {
    /// Device and threads.
    #[command(flatten)]
    pub execution: Execution,
    /// Model file written by `client train` or `client export`, or a run folder.
    #[arg(long, value_name = "FILE|RUN")]
    pub model: PathBuf,
    /// Output format: table, csv (with a header), or json (one object per line). A file that cannot be classified gives a line with its
    /// error, and exit code 65.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = PrintFormat::Table)]
    pub format: PrintFormat,
    /// Same as --format json.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Number of most probable classes to print.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = at_least(1_u32))]
    pub top: u32,
    /// Class frequencies.
    #[command(flatten)]
    pub prior: PriorArgs,
    /// Of two classes, predict the one with fewer training images from this probability on. [default: that of the model, which
    /// `client export --threshold` writes, or 0.5]
    #[arg(long, value_name = "P", value_parser = threshold)]
    pub threshold: Option<f64>,
    /// Test-time augmentation, as `client evaluate --tta`.
    #[arg(long, value_name = "VIEWS", num_args = 0..=1, require_equals = true, hide_possible_values = true)]
    pub tta: Option<Option<Views>>,
    /// Share of the short side that is used of the centre of each image, as timm's crop_pct, from 0.1 to 1: with 0.875, the centre 224 of 256
    /// pixels. `client train` and `client evaluate` use all of it; many networks for ImageNet were trained for 0.875. [default: crop_pct of the
    /// model's metadata `preprocessing`, or 1]
    #[arg(long, value_name = "X", value_parser = crop_pct)]
    pub crop_pct: Option<f64>,
    /// Images per inference batch, from 1 to 4096. Affects speed only.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = within(1..=4096_u32))]
    pub batch_size: u32,
    /// File with paths of images and folders, one per line; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,
    /// Image files (JPEG, PNG, WebP, BMP or GIF), folders, which are searched recursively, or - for one image on standard input.
    #[arg(value_name = "IMAGE|DIR", required_unless_present = "files_from")]
    pub images: Vec<PathBuf>,
}

fn threshold(text: &str) -> Result<f64, String> {
    let value = text
        .parse()
        .map_err(|_| "expected a probability between 0 and 1".to_owned())?;
    adjustments::probability(value)
}

fn crop_pct(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| CROP_SHARES.contains(share));
    share.ok_or_else(|| {
        let (least, most) = CROP_SHARES.into_inner();
        format!("expected a number from {least} to {most}")
    })
}

//! Options of the commands that look at folders of images.

use std::path::PathBuf;

use clap::Args;

use super::Split;

/// How a folder is read: as `serve` would.
#[derive(Args, Debug)]
pub struct Reading {
    /// Part of the images held out for validation, from 0 to 1, where there are no train and valid folders.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2)]
    pub valid_fraction: f64,
    /// Seed of that choice.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub split_seed: u64,
    /// How that choice is made.
    #[arg(long, value_enum, default_value_t = Split::Stratified)]
    pub split: Split,
    /// Take pixels as they are stored, whatever the camera's orientation tag says.
    #[arg(long)]
    pub ignore_orientation: bool,
    /// Threads that read and decode. Default: as many as this process may use processors.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Options of `stats`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server stats data                                    everything, at the sizes of `client train`
  server stats data --no-pixels                        at once: reads headers only
  server stats data --balance power:0.3 --batch-size 32
  server stats data --json | jq .pixels.natural        mean and std for a request's normalization

Exit codes: 0 done, 64 senseless options, 66 no such folder or no usable image in it, 74 the system refused.")]
pub struct Stats {
    /// A folder with one folder of images per class, as for `serve --data`.
    pub dir: PathBuf,
    /// Height and width of the images that would be streamed, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    pub image_size: u32,
    /// Images in a batch that would be streamed.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch_size: u32,
    /// A policy to try: oversample, undersample, natural, power:X from 0 (natural) to 1 (oversample), or effective:BETA. May be given
    /// several times. Default: natural, power:0.5, oversample, undersample.
    #[arg(long, value_name = "POLICY")]
    pub balance: Vec<String>,
    /// Read headers only, and say nothing of mean and standard deviation.
    #[arg(long)]
    pub no_pixels: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub reading: Reading,
}

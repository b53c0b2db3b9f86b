//! Options of `explain`.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

/// Options of `explain`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server explain data --seed 42 --step 3                       which images, and what happened to each
  server explain data --seed 42 --step 3 --out batch.png       and how they look
  server explain data --recipe 'fastai rotate(45)' --slot 0 --json

Exit codes: 0 done, 64 senseless options, 66 no such folder, no images, or no readable one, 74 the system refused.")]
pub struct Explain {
    /// A folder with one folder of images per class, as for `serve --data`.
    pub dir: PathBuf,
    /// Which part of the images: train, valid or test.
    #[arg(long, value_name = "SPLIT", default_value = "train")]
    pub of: String,
    /// Epoch of the batch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub epoch: u32,
    /// Number of the batch in its epoch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub step: u64,
    /// One image of the batch only, from 0.
    #[arg(long, value_name = "N")]
    pub slot: Option<usize>,
    /// Seed of the stream.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// Images in a batch.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch_size: u32,
    /// Height and width of the images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    pub size: u32,
    /// How often each class is drawn in training: oversample, undersample, natural, power:X or effective:BETA.
    #[arg(long, value_name = "POLICY", default_value = "oversample")]
    pub balance: String,
    /// Augmentation of training images; `server recipe` lists what there is.
    #[arg(long, value_name = "TEXT", default_value = "fastai")]
    pub recipe: String,
    /// Print JSON, with every number.
    #[arg(long)]
    pub json: bool,
    /// Write the picture, or those of the whole batch side by side, as a PNG file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub reading: Reading,
}

//! Arguments of `explain`.

use std::path::PathBuf;

use clap::Args;

use super::batch_selector::BatchSelector;
use equibatch_cli::value::{at_least, png};

/// Arguments of `explain`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server explain data --seed 42 --step 3                       samples and augmentation parameters
  server explain data --seed 42 --step 3 --out batch.png       and the rendered images
  server explain data --recipe 'fastai rotate(45)' --slot 0 --json

Exit codes: 0 success, 64 usage error, 66 no such folder, or no readable image in it, 74 I/O or system error.")]
pub struct Explain {
    /// Folder with one subfolder of images per class, as for `serve --data`.
    pub dir: PathBuf,
    /// Only the image at this position of the batch, from 0.
    #[arg(long, value_name = "N", value_parser = at_least(0_usize))]
    pub slot: Option<usize>,
    /// Print JSON, with every parameter.
    #[arg(long)]
    pub json: bool,
    /// Write the image, or all images of the batch as a grid, to this PNG file.
    #[arg(long, value_name = "FILE", value_parser = png)]
    pub out: Option<PathBuf>,
    /// The batch.
    #[command(flatten)]
    pub selector: BatchSelector,
}

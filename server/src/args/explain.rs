//! Options of `explain`.

use std::path::PathBuf;

use clap::Args;

use super::BatchSelector;
use equibatch_cli::value::{at_least, png};

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
    /// One image of the batch only, from 0.
    #[arg(long, value_name = "N", value_parser = at_least(0_usize))]
    pub slot: Option<usize>,
    /// Print JSON, with every number.
    #[arg(long)]
    pub json: bool,
    /// Write the picture, or those of the whole batch side by side, as a PNG file.
    #[arg(long, value_name = "FILE", value_parser = png)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub selector: BatchSelector,
}

//! Options of `preview`.

use std::path::PathBuf;

use clap::Args;

use super::BatchSelector;
use equibatch_cli::value::{png, within};

/// Options of `preview`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server preview data                                    25 images of the first training batch, as batch.png
  server preview data --part valid --rows 3              9 validation images
  server preview data --recipe 'light rotate(45)' --step 7 --out steep.png
  server preview --of data/birds/00000017.jpg            one image and ten of its augmentations, with what was drawn
  server preview --of bird.jpg --times 24 --recipe randaugment

Exit codes: 0 done, 64 senseless options, 66 no such folder or image, or no readable one, 74 the system refused.")]
pub struct Preview {
    /// A folder with one folder of images per class, as for `serve --data`.
    #[arg(required_unless_present = "of")]
    pub dir: Option<PathBuf>,
    /// Rows of the grid, and images in a row; a batch may have fewer.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = within(1..=64_u32))]
    pub rows: u32,
    /// Show this image as it is, beside augmentations of it, with what was drawn for each.
    #[arg(long, value_name = "IMAGE", conflicts_with = "dir")]
    pub of: Option<PathBuf>,
    /// Augmentations of that image.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "of", value_parser = within(1..=1000_u32))]
    pub times: u32,
    /// Where to write the picture. It is shown in the terminal as well, where that can show pictures.
    #[arg(long, value_name = "FILE", default_value = "batch.png", value_parser = png)]
    pub out: PathBuf,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub selector: BatchSelector,
}

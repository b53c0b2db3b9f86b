//! Arguments of `preview`.

use std::path::PathBuf;

use clap::Args;

use super::batch_selector::BatchSelector;
use equibatch_cli::value::{png, within};

/// Arguments of `preview`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server preview data                                    25 images of the first training batch, as batch.png
  server preview data --part valid --rows 3              9 validation images
  server preview data --recipe 'light rotate(45)' --step 7 --out steep.png
  server preview --of data/birds/00000017.jpg            one image and ten of its augmentations, with the parameters drawn
  server preview --of bird.jpg --times 24 --recipe randaugment

Exit codes: 0 success, 64 usage error, 66 no such folder or image, or no readable image, 74 I/O or system error.")]
pub struct Preview {
    /// Folder with one subfolder of images per class, as for `serve --data`.
    #[arg(required_unless_present = "of")]
    pub dir: Option<PathBuf>,
    /// Rows and columns of the grid, from 1 to 64; a batch may have fewer images.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = within(1..=64_u32))]
    pub rows: u32,
    /// Show this image file unaugmented, beside augmentations of it, with the parameters drawn for each.
    #[arg(long, value_name = "IMAGE", conflicts_with = "dir")]
    pub of: Option<PathBuf>,
    /// Number of augmentations of that image, from 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "of", value_parser = within(1..=1000_u32))]
    pub times: u32,
    /// PNG file to write. The picture is also shown in terminals that support the kitty or iTerm2 image protocol.
    #[arg(long, value_name = "FILE", default_value = "batch.png", value_parser = png)]
    pub out: PathBuf,
    /// The batch.
    #[command(flatten)]
    pub selector: BatchSelector,
}

//! `client show-batch`.

use std::path::PathBuf;

use clap::Args;
use equibatch_cli::value::{at_least, png, within};

use super::Server;
use equibatch_stream::{Balance, Split};

/// `client show-batch`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client show-batch                                   25 images of the first training batch, as batch.png
  client show-batch --split valid --rows 3            9 validation images, as in evaluation
  client show-batch --recipe 'light rotate(45)'       as training would see them with another recipe
  client show-batch --of bird.jpg --times 10          one image beside ten of its augmentations; needs no server")]
pub struct ShowBatch {
    /// Servers and credentials.
    #[command(flatten)]
    pub server: Server,
    /// Rows and columns of the grid, from 1 to 64; a batch may have fewer images.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = within(1..=64_u32))]
    pub rows: u32,
    /// Split: train, valid or test.
    #[arg(long, default_value_t = Split::Train)]
    pub split: Split,
    /// Show this image file unaugmented, beside augmentations of it, with the parameters drawn for each.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["split", "rows"])]
    pub of: Option<PathBuf>,
    /// Number of augmentations of that image, from 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "of", value_parser = within(1..=1000_u32))]
    pub times: u32,
    /// PNG file to write. The picture is also shown in terminals that support the kitty or iTerm2 image protocol.
    #[arg(long, value_name = "FILE", default_value = "batch.png", value_parser = png)]
    pub out: PathBuf,
    /// Dataset name; may be omitted if the server has only one.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub dataset: String,
    /// Epoch of the batch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = within(0..=u32::MAX - 1))]
    pub epoch: u32,
    /// Step of the batch within its epoch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = at_least(0_u64))]
    pub step: u64,
    /// Images per batch.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least(1_u32))]
    pub batch_size: u32,
    /// Height and width of the images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = at_least(1_u32))]
    pub size: u32,
    /// Class balance of the train split, as for `client train`. [default: oversample]
    #[arg(long, value_name = "POLICY")]
    pub balance: Option<Balance>,
    /// Epochs of the training, over which progressive and other schedules change. [default: up to --epoch]
    #[arg(long, value_name = "N", value_parser = at_least(1_u32))]
    pub epochs: Option<u32>,
    /// Augmentation recipe of the train split; `server recipe` lists the presets and operations. [default: fastai]
    #[arg(long, value_name = "TEXT")]
    pub recipe: Option<String>,
    /// Seed of the stream.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub seed: u64,
}

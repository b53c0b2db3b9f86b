//! Arguments of `explain` and `preview` that select a batch.

use clap::Args;

use super::data::ScanArgs;
use equibatch_cli::value::at_least;

/// The stream and batch that `explain` and `preview` render.
#[derive(Args, Debug)]
pub struct BatchSelector {
    /// Split: train, valid or test.
    #[arg(long, value_name = "SPLIT", default_value = "train")]
    pub part: String,
    /// Epoch of the batch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = at_least(0_u32))]
    pub epoch: u32,
    /// Step of the batch within its epoch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = at_least(0_u64))]
    pub step: u64,
    /// Seed of the stream.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub seed: u64,
    /// Images per batch.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least(1_u32))]
    pub batch_size: u32,
    /// Height and width of the images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = at_least(1_u32))]
    pub size: u32,
    /// Class balance of the train split: oversample, undersample, natural, power:X, effective:BETA, repeat-factor, repeat-factor:T, progressive, or a schedule
    /// FROM>TO or FROM>TO@FRACTION.
    #[arg(long, value_name = "POLICY", default_value = "oversample")]
    pub balance: String,
    /// Epochs of the stream, over which progressive and other schedules change. Default: up to --epoch.
    #[arg(long, value_name = "N", value_parser = at_least(1_u32))]
    pub epochs: Option<u32>,
    /// Augmentation recipe of the train split; `server recipe` lists the presets and operations.
    #[arg(long, value_name = "TEXT", default_value = "fastai")]
    pub recipe: String,
    /// How the folder is scanned.
    #[command(flatten)]
    pub scan: ScanArgs,
}

//! Which batch is looked at: of `explain` and `preview`.

use clap::Args;

use super::ScanArgs;
use equibatch_cli::value::at_least;

/// Which batch is looked at.
#[derive(Args, Debug)]
pub struct BatchSelector {
    /// Which part of the images: train, valid or test.
    #[arg(long, value_name = "SPLIT", default_value = "train")]
    pub part: String,
    /// Epoch of the batch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = at_least(0_u32))]
    pub epoch: u32,
    /// Number of the batch in its epoch, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = at_least(0_u64))]
    pub step: u64,
    /// Seed of the stream.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub seed: u64,
    /// Images in a batch.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least(1_u32))]
    pub batch_size: u32,
    /// Height and width of the images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = at_least(1_u32))]
    pub size: u32,
    /// How often each class is drawn in training: oversample, undersample, natural, power:X or effective:BETA.
    #[arg(long, value_name = "POLICY", default_value = "oversample")]
    pub balance: String,
    /// Augmentation of training images; `server recipe` lists what there is.
    #[arg(long, value_name = "TEXT", default_value = "fastai")]
    pub recipe: String,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub scan: ScanArgs,
}

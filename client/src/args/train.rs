//! `client train`.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;

use super::{Execution, Server};
use crate::{schedule::LearningRates, stream::Balance};

/// `client train`.
#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub server: Server,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    /// Which dataset; not needed where the server has one only.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Network: resnet18, resnet34, resnet50 or resnet101; resnet34@16 has 16 channels in its first stage instead of 64, for quick
    /// trials. [default: resnet34]
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// Passes over the training images. [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Peak learning rate of the one-cycle schedule: 3e-3 for all layers, ..3e-3 for the head and a tenth for the rest, 1e-5..1e-2
    /// spread over the layer groups. [default: 3e-3]
    #[arg(long, value_name = "RATE", value_parser = |text: &str| text.parse::<LearningRates>().map(|_| text.to_owned()))]
    pub max_lr: Option<String>,
    /// Decoupled weight decay. [default: 0.01]
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f32>,
    /// Images per step. [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub batch_size: Option<u32>,
    /// Height and width of the images, in pixels. [default: 224]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..))]
    pub size: Option<u32>,
    /// How often each class is drawn: oversample (all classes as often as the largest), undersample, natural (as they are), or
    /// power:X between natural (0) and oversample (1). [default: oversample]
    #[arg(long, value_name = "POLICY")]
    pub balance: Option<Balance>,
    /// Augmentation: a preset such as none, fastai, light or flip-only, parts such as 'flip rotate(10)', or both; `server recipe` lists
    /// them all. [default: fastai]
    #[arg(long, value_name = "TEXT", conflicts_with = "resume")]
    pub recipe: Option<String>,
    /// Seeds batches, augmentation, initial weights and dropout. [default: 42]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Batches to keep ready.
    #[arg(long, value_name = "N", default_value = "3")]
    pub prefetch: NonZeroUsize,
    /// Folder for the results; by default a new one below runs/.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// Continue a run from its checkpoint, exactly as if it had not stopped. What decides its numbers is taken from there; typed
    /// again, it must be the same.
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
}

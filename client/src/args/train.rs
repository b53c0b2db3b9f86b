//! `client train`.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use equibatch_server::args::value::{at_least, some};

use super::{Execution, Keep, Server, Setup, Shown};
use crate::{runtime::Operators, schedule::LearningRates};

/// `client train`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:
  client train                                        the server's only dataset, balanced, into a new folder below runs/
  client train --balance natural --out runs/natural   the images as they are, to compare
  client train --arch resnet18@16 --size 96 --batch-size 16 --epochs 5    a quick trial on a CPU
  client train --weights resnet34.safetensors --epochs 4 --save stage-1         a new head on a frozen body
  client train --load stage-1 --unfreeze --max-lr 1e-5..1e-2 --epochs 2         and then all of it
  client train --experiment experiment.toml --out runs/flowers                  several stages in one go
  client train --resume runs/natural                  goes on after an interruption, bit for bit")]
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
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub setup: Setup,
    /// What a step is made of: standard (ONNX's operators alone), fast (our own in their place, on CPUs), or auto (fast where the CPU has
    /// AVX2 or AVX-512). They differ in speed and in the last bits of the result.
    #[arg(long, value_name = "CHOICE", default_value_t = Operators::Auto)]
    pub operators: Operators,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub shown: Shown,
    /// Passes over the training images. [default: 10]
    #[arg(long, value_name = "N", value_parser = at_least(1_u32))]
    pub epochs: Option<u32>,
    /// Peak learning rate of the one-cycle schedule: 3e-3 for all layers, ..3e-3 for the head and a tenth for the rest, 1e-5..1e-2
    /// spread over the layer groups. `found` in the place of a number is where --find-lr sees the steepest descent. [default: 3e-3]
    #[arg(long, visible_alias = "lr", value_name = "RATE", value_parser = LearningRates::checked)]
    pub max_lr: Option<String>,
    /// Before training, sweep over learning rates as `client find-lr` does, and leave the plot in the run's folder.
    #[arg(long)]
    pub find_lr: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub keep: Keep,
    /// Batches to keep ready.
    #[arg(long, value_name = "N", default_value = "3", value_parser = some)]
    pub prefetch: NonZeroUsize,
    /// Train the stages of a file, one after the other: a table `[[stage]]` each, whose keys are flags of this command; keys above them
    /// hold for all stages, and what is typed wins over both. `reference` is a file that is built in: 4 epochs with a frozen body, then
    /// 2 of all of it. Each stage gets a folder in the folder for the results.
    #[arg(long, value_name = "FILE|reference", conflicts_with = "resume")]
    pub experiment: Option<PathBuf>,
    /// Train only the stage of this name or number, from 1: a run like any other, which --load begins where another one ended. Without
    /// --experiment, a stage of the reference.
    #[arg(long, value_name = "NAME|N", conflicts_with = "resume")]
    pub stage: Option<String>,
    /// Folder for the results; by default a new one below runs/.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// When done, also write the checkpoint to this file, for --load; without an extension, it gets `.safetensors`.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Continue a run from its checkpoint, exactly as if it had not stopped. What decides its numbers is taken from there; typed
    /// again, it must be the same.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["recipe", "weights", "load"])]
    pub resume: Option<PathBuf>,
}

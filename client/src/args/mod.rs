//! What was typed.

mod checkpoint;
mod compare;
mod evaluate;
pub mod experiment;
mod export;
mod find_lr;
mod loss;
mod manual;
mod predict;
mod report;
mod server;
mod setup;
mod show_batch;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use equibatch_cli::value::{at_least, within};

pub use checkpoint::CheckpointArgs;
pub use compare::Compare;
use equibatch_training::{
    program::Precision,
    runtime::{Operators, Staging},
};
pub use evaluate::Evaluate;
pub use export::{Export, PixelOrder, Preprocess};
pub use find_lr::FindLr;
pub use loss::{DisplayArgs, LossArgs};
pub use manual::{Completions, Man};
pub use predict::{Format, Predict};
pub use report::Report;
pub use server::{Execution, Server};
pub use setup::{Images, Network, TrainingSetup};
pub use show_batch::ShowBatch;
pub use train::Train;

/// Trains and judges image classifiers on batches from an Equibatch server.
#[derive(Debug, Parser)]
#[command(name = "client", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Log more: once for debugging messages, twice for everything.
    ///
    /// RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 900)]
    pub verbose: u8,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 64 wrong usage; 65 unusable data (files, checkpoints, datasets); \
69 server or device unavailable; 77 not let in by the server, or the server not trusted; 130 interrupted, and saved where there was something to save.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network.
    #[command(allow_negative_numbers = true, args_override_self = true, mut_args = train::arranged)]
    Train(Box<Train>),
    /// Find a learning rate: train for a hundred steps with a growing one, and see where the loss falls.
    #[command(allow_negative_numbers = true)]
    FindLr(Box<FindLr>),
    /// Judge trained models on a split, side by side where there are several.
    #[command(allow_negative_numbers = true)]
    Evaluate(Evaluate),
    /// Classify image files.
    #[command(allow_negative_numbers = true)]
    Predict(Predict),
    /// Train in several ways, several times each, and compare what came of them on the same images.
    #[command(allow_negative_numbers = true)]
    Compare(Box<Compare>),
    /// Write a trained model for use elsewhere, and check it.
    #[command(allow_negative_numbers = true)]
    Export(Export),
    /// Make the report of a run again: curves, confusion matrix, largest losses.
    #[command(allow_negative_numbers = true)]
    Report(Box<Report>),
    /// Draw a labelled grid of a batch, or one image beside augmentations of it.
    #[command(allow_negative_numbers = true)]
    ShowBatch(Box<ShowBatch>),
    /// List the server's datasets.
    #[command(allow_negative_numbers = true)]
    Datasets(Datasets),
    /// Time training steps on this machine, without a server.
    #[command(allow_negative_numbers = true)]
    Bench(Bench),
    /// Print what makes a shell complete this program's options.
    #[command(allow_negative_numbers = true)]
    Completions(Completions),
    /// Print this program's manual page, or write all of them.
    #[command(allow_negative_numbers = true)]
    Man(Man),
}

/// `client datasets`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client datasets                                     names, classes, images per split, and files that are never served
  client datasets --json | jq -r '.[].name'
  client datasets --server https://loader:50051 --tls-ca root.pem --token-file token")]
pub struct Datasets {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub server: Server,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `client bench`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client bench                                        ResNet34 at 224 pixels, batches of 16, on the CPU
  client bench --batch-size 64 --device cuda --precision f16 --json")]
pub struct Bench {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    /// What a step is made of: standard (ONNX's operators alone), fast (our own in their place, on CPUs), or auto (fast where the CPU has
    /// AVX2 or AVX-512). They differ in speed and in the last bits of the result.
    #[arg(long, value_name = "CHOICE", default_value_t = Operators::Auto)]
    pub operators: Operators,
    /// Copy the images of the next step while a step runs: on, off, or auto (on for CUDA devices, as training does).
    #[arg(long, value_name = "CHOICE", default_value_t = Staging::Auto)]
    pub staging: Staging,
    /// What steps compute in, as for `client train`: f32, tf32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Network.
    #[arg(long, value_name = "NAME", default_value = "resnet34")]
    pub arch: String,
    /// Images per step.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = within(2..=4096_u32))]
    pub batch_size: u32,
    /// Height and width of the images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = within(32..=4096_u32))]
    pub size: u32,
    /// Steps to time, after one to warm up.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least(1_u32))]
    pub steps: u32,
    /// Train no weight of the body, as the first stage of transfer learning does; batch norms move.
    #[arg(long)]
    pub frozen: bool,
    /// Let ONNX Runtime write what every node took to PREFIX_*.json, which trace viewers open, and print the time by operator. Costs some
    /// time itself.
    #[arg(long, value_name = "PREFIX")]
    pub profile: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

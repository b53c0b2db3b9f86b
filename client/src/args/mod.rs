//! The command line as typed. Defaults and validation across flags are in [`config`](crate::config).

mod adjust;
mod checkpoint;
mod compare;
mod evaluate;
pub mod experiment;
mod export;
mod find_lr;
mod loss;
mod number;
mod optimizer;
mod predict;
mod prior;
mod report;
mod server;
mod setup;
mod show_batch;
mod train;
mod tune;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use equibatch_cli::{
    manual::{Completions, Man},
    value::{at_least, within},
};

pub use adjust::AdjustArgs;
pub use checkpoint::CheckpointArgs;
pub use compare::Compare;
use equibatch_training::{
    program::Precision,
    runtime::{Operators, Staging},
};
pub use evaluate::Evaluate;
pub use export::{Export, PixelOrder, Preprocess};
pub use find_lr::FindLr;
pub use loss::{DisplayArgs, LossArgs, Smoothing};
pub use optimizer::OptimizerArgs;
pub use predict::Predict;
pub use prior::PriorArgs;
pub use report::Report;
pub use server::{Execution, Server};
pub use setup::{Images, Network, TrainingSetup};
pub use show_batch::ShowBatch;
pub use train::Train;
pub use tune::{Folds, Tune};

use crate::learn::network::NetworkFile;

/// Trains and evaluates image classifiers on batches from an Equibatch server.
#[derive(Debug, Parser)]
#[command(name = "client", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
    /// Log more: once for info and debug messages, twice for all.
    ///
    /// The environment variable RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 900)]
    pub verbose: u8,
}

const EXIT_CODES: &str = "Exit codes: 0 success; 1 other failure; 64 usage error; 65 data error (invalid or mismatched files, checkpoints or datasets); \
69 server, device or library unavailable; 77 authentication or TLS verification failed; 130 interrupted by a signal, after saving a checkpoint if training had begun.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network.
    #[command(allow_negative_numbers = true, args_override_self = true, mut_args = train::arranged)]
    Train(Box<Train>),
    /// Find a learning rate by a range test: train for 100 steps with an exponentially growing rate and record the loss (Smith, 2017).
    #[command(allow_negative_numbers = true)]
    FindLr(Box<FindLr>),
    /// Evaluate trained models on a split; compare several side by side.
    #[command(allow_negative_numbers = true)]
    Evaluate(Evaluate),
    /// Classify image files.
    #[command(allow_negative_numbers = true)]
    Predict(Predict),
    /// Train several arms (ways to handle imbalance) over several seeds, and compare them statistically on the same images. --verbose shows
    /// every epoch.
    #[command(allow_negative_numbers = true)]
    Compare(Box<Compare>),
    /// Choose the best of several arms (ways to handle imbalance) on the validation images, within a number of minutes. --verbose shows every
    /// epoch.
    #[command(allow_negative_numbers = true)]
    Tune(Box<Tune>),
    /// Export a trained model as an ONNX file for inference, and verify it against the original.
    #[command(allow_negative_numbers = true)]
    Export(Export),
    /// Regenerate the HTML report of a run: curves, confusion matrix, top losses.
    #[command(allow_negative_numbers = true)]
    Report(Box<Report>),
    /// Render a batch as a labelled grid, or one image beside its augmentations.
    #[command(allow_negative_numbers = true)]
    ShowBatch(Box<ShowBatch>),
    /// List the datasets of a server.
    #[command(allow_negative_numbers = true)]
    Datasets(Datasets),
    /// Measure training steps on this machine, without a server.
    #[command(allow_negative_numbers = true)]
    Bench(Bench),
    /// Print a shell completion script.
    #[command(
        allow_negative_numbers = true,
        after_long_help = "Examples:
  client completions bash > ~/.local/share/bash-completion/completions/client
  client completions zsh > ~/.zfunc/_client
  client completions fish > ~/.config/fish/completions/client.fish"
    )]
    Completions(Completions),
    /// Print the manual page, or write the pages of all commands.
    #[command(
        allow_negative_numbers = true,
        after_long_help = "Examples:
  client man | man --local-file -                      read it
  client man --out ~/.local/share/man/man1             a page for each command"
    )]
    Man(Man),
}

/// `client datasets`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client datasets                                     names, classes, images per split, and quarantined files
  client datasets --json | jq -r '.[].name'
  client datasets --server https://loader:50051 --tls-ca root.pem --token-file token")]
pub struct Datasets {
    /// Servers and credentials.
    #[command(flatten)]
    pub server: Server,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `client bench`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client bench                                        ResNet34 at 224 pixels, batches of 16, on the CPU
  client bench --model efficientnet_b0.onnx
  client bench --batch-size 64 --device cuda --precision f16 --json")]
pub struct Bench {
    /// Device and threads.
    #[command(flatten)]
    pub execution: Execution,
    /// Operators of the training step: standard (ONNX operators only), fast (custom operators: kernels for CPUs, cuDNN 9 on CUDA
    /// devices), or auto (fast if the CPU has AVX2 or AVX-512, or cuDNN 9 is installed). The choice affects speed and the last bits of the results.
    #[arg(long, value_name = "CHOICE", default_value_t = Operators::Auto)]
    pub operators: Operators,
    /// Copy the next batch to the device while a step runs: on, off, or auto (on for CUDA, as in training).
    #[arg(long, value_name = "CHOICE", default_value_t = Staging::Auto)]
    pub staging: Staging,
    /// Compute precision, as for `client train`: f32, tf32, bf16 or f16. All but f32 need --device cuda.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Network: resnet18, resnet34, resnet50 or resnet101, optionally with @WIDTH.
    #[arg(long, value_name = "NAME", default_value = "resnet34")]
    pub arch: String,
    /// The network of this ONNX file instead of --arch, as for `client train`, with a new head for two classes.
    #[arg(long, value_name = "FILE", conflicts_with = "arch")]
    pub model: Option<NetworkFile>,
    /// Images per step, from 2 to 4096.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = within(2..=4096_u32))]
    pub batch_size: u32,
    /// Height and width of the images, in pixels, from 32 to 4096.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = within(32..=4096_u32))]
    pub size: u32,
    /// Number of steps to measure, after one warm-up step.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least(1_u32))]
    pub steps: u32,
    /// Freeze the body except its batch norms, as in the first stage of transfer learning.
    #[arg(long)]
    pub frozen: bool,
    /// Measure inference, as validation of a training run computes it, instead of training steps, and write the model to FILE.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "frozen"])]
    pub inference: Option<PathBuf>,
    /// Write ONNX Runtime profiles to PREFIX_*.json (Chrome trace format), and print the time by operator. Profiling adds overhead.
    #[arg(long, value_name = "PREFIX")]
    pub profile: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

//! What was typed.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    runtime::Device,
    schedule::LearningRates,
    stream::{Balance, Split},
};

/// Trains and judges image classifiers on batches from an Equibatch server.
#[derive(Debug, Parser)]
#[command(name = "client", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Log more: once for debugging messages, twice for everything. RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 64 wrong usage; 65 unusable data (files, checkpoints, datasets); \
69 server or device unavailable; 77 not let in by the server, or the server not trusted; 130 interrupted, and saved where there was something to save.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network.
    Train(Train),
    /// Judge trained models on a split, side by side where there are several.
    Evaluate(Evaluate),
    /// Classify image files.
    Predict(Predict),
    /// List the server's datasets.
    Datasets(Datasets),
    /// Time training steps on this machine, without a server.
    Bench(Bench),
}

/// The server.
#[derive(Debug, Args)]
pub struct Server {
    /// Host and port, https://HOST:PORT where the connection is to be encrypted, or unix:PATH where the server runs on this machine and listens there. Several, separated by commas, share the work:
    /// all must hold the same files, and the work goes on while one of them is left. A name with several addresses is as many servers.
    #[arg(
        long,
        value_name = "ADDRESS,...",
        env = "EQUIBATCH_SERVER",
        default_value = "localhost:50051"
    )]
    pub server: String,
    /// When the last server is gone in the middle of a stream, wait this long for one to come back. 0: do not wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub retry_for: u64,
    /// When a server owes a batch for this long, ask another one as well.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..))]
    pub stall_timeout: u64,
    /// A PEM file with the roots that the server's certificate may come from, in place of this system's. For https only.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// A PEM file with a certificate to show to the server, where it asks for one.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// A PEM file with the private key to that.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A file with the token to show to the server, where it asks for one. Without it, the environment variable EQUIBATCH_TOKEN is the
    /// token. A token is sent over https and within this machine, and never otherwise.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl Server {
    /// The token of the environment. There is no option for it: command lines are open to everybody on a machine.
    #[must_use]
    pub fn token_of_the_environment() -> Option<String> {
        std::env::var("EQUIBATCH_TOKEN").ok()
    }
}

/// Where models run.
#[derive(Debug, Args)]
pub struct Execution {
    /// cpu, cuda or cuda:N. A device that cannot be used is an error, never replaced by another.
    #[arg(long, default_value_t = Device::Cpu)]
    pub device: Device,
    /// Threads within an operation; by default one per physical core.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

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

/// `client evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
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
    /// Folders of training runs. Results are written there.
    #[arg(value_name = "RUN", required_unless_present_any = ["run", "model"])]
    pub runs: Vec<PathBuf>,
    /// Another way to name a run.
    #[arg(long, value_name = "DIR")]
    pub run: Vec<PathBuf>,
    /// A model file. Results are written beside it.
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Which part of the dataset: train, valid or test.
    #[arg(long, default_value_t = Split::Valid)]
    pub split: Split,
    /// Which dataset; by default the one that the run was trained on, or the server's only one.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Images per batch. Changes the speed only.
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// Print the figures as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// `client predict`.
#[derive(Debug, Args)]
pub struct Predict {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    /// A model file that `client train` has written.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Print one JSON object per image.
    #[arg(long)]
    pub json: bool,
    /// Images: JPEG, PNG, WebP, BMP or GIF.
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
}

/// `client datasets`.
#[derive(Debug, Args)]
pub struct Datasets {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub server: Server,
}

/// `client bench`.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    /// Network.
    #[arg(long, value_name = "NAME", default_value = "resnet34")]
    pub arch: String,
    /// Images per step.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=4096))]
    pub batch_size: u32,
    /// Height and width of the images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub size: u32,
    /// Steps to time, after one to warm up.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

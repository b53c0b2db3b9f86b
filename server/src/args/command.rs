//! The subcommands, and the arguments of those with few.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use equibatch_cli::manual::{Completions, Man};

use super::{
    bench::Bench,
    data::{Download, SampleData, Stats, Verify},
    explain::Explain,
    preview::Preview,
    serve::Serve,
};

/// Streams class-balanced, augmented, normalised image batches over gRPC.
#[derive(Debug, Parser)]
#[command(name = "server", version, after_help = EXIT_CODES, max_term_width = 120)]
pub struct Arguments {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0   success; `serve`: stopped by SIGINT or SIGTERM
  64  usage error: an unknown flag or an invalid value
  65  data error: `verify` left findings unresolved, or `download` could not fetch some images
  66  input missing or unusable: no such folder or file, no images, fewer than two classes
  69  unavailable: `download` could not fetch any image, or `health` got no healthy answer
  70  internal error: a bug in this program
  74  I/O or system error: a port in use, a full disk
  78  configuration error: an unknown key or an invalid value in the file";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve class folders until SIGINT or SIGTERM.
    #[command(allow_negative_numbers = true)]
    Serve(Box<Serve>),
    /// Validate a configuration file for `serve` without starting a server.
    #[command(allow_negative_numbers = true)]
    Check(Check),
    /// Query a running server's health service (grpc.health.v1), for container health checks: exits with 0 or 69.
    #[command(allow_negative_numbers = true)]
    Health(Health),
    /// Download images from lists of URLs into class folders.
    #[command(allow_negative_numbers = true)]
    Download(Download),
    /// Find broken, misnamed, duplicate and leaking images in class folders; optionally delete, move or convert them.
    #[command(allow_negative_numbers = true)]
    Verify(Verify),
    /// Print class counts, image sizes, channel mean and std, and what each balance policy would draw.
    #[command(allow_negative_numbers = true)]
    Stats(Stats),
    /// Generate a small, imbalanced synthetic data set of class folders for trials.
    #[command(allow_negative_numbers = true)]
    SampleData(SampleData),
    /// Print an augmentation recipe with all parameters, or list the available presets and operations.
    #[command(allow_negative_numbers = true)]
    Recipe(Recipe),
    /// Render a batch as a labelled grid as training would see it, or one image beside its augmentations.
    #[command(allow_negative_numbers = true)]
    Preview(Preview),
    /// Print the samples of a batch and the augmentation parameters drawn for each, optionally with a picture.
    #[command(allow_negative_numbers = true)]
    Explain(Explain),
    /// Measure the CPU time per image of each pipeline stage on this machine.
    #[command(allow_negative_numbers = true)]
    Bench(Bench),
    /// Print a shell completion script.
    #[command(
        allow_negative_numbers = true,
        after_help = "Examples:
  server completions bash > ~/.local/share/bash-completion/completions/server
  server completions zsh > ~/.zfunc/_server
  server completions fish > ~/.config/fish/completions/server.fish"
    )]
    Completions(Completions),
    /// Print the manual page, or write the pages of all commands.
    #[command(
        allow_negative_numbers = true,
        after_help = "Examples:
  server man | man --local-file -                      read it
  server man --out ~/.local/share/man/man1             a page for each command"
    )]
    Man(Man),
}

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server check server.toml                             prints what would be served, or the invalid line and key
  server check server.toml && systemctl restart equibatch

Exit codes: 0 valid, 66 input missing or unusable, 78 configuration error, with line and key.")]
pub struct Check {
    /// The configuration file, as for `serve --config`.
    pub config: PathBuf,
}

/// Arguments of `health`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server health                                        the server on this machine
  server health unix:/run/equibatch.sock
  server health https://loader:50051 --tls-ca root.pem

Exit codes: 0 serving, 64 usage error, 69 not serving or unreachable.")]
pub struct Health {
    /// Address of the server: HOST:PORT, https://HOST:PORT or unix:PATH.
    #[arg(default_value = "127.0.0.1:50051")]
    pub address: String,
    /// PEM file with the CA certificates to verify the server by. Default: the system's trust store. For https only.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

/// Arguments of `recipe`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server recipe                                        all presets and operations, with the range of every parameter
  server recipe 'fastai rotate(10)'                    that recipe with every parameter spelled out
  server recipe --json                                 the same as JSON

Exit codes: 0 success, 64 invalid recipe.")]
pub struct Recipe {
    /// Recipe to expand, such as `fastai rotate(10)`. Without it, all presets and operations are listed.
    pub text: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

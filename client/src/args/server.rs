//! Whom to ask for images, and where to compute.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use equibatch_cli::value::{at_least, non_zero, within};

use equibatch_training::runtime::Device;

/// The server.
#[derive(Clone, Debug, Args)]
pub struct Server {
    /// Host and port, https://HOST:PORT where the connection is to be encrypted, or unix:PATH where the server runs on this machine and listens there. Several, separated by commas, share the work:
    /// all must hold the same files, and the work goes on while one of them is left. A name with several addresses is as many servers; it is looked up again every 10 s and when a server is lost.
    #[arg(
        long,
        value_name = "ADDRESS,...",
        env = "EQUIBATCH_SERVER",
        default_value = "localhost:50051"
    )]
    pub server: String,
    /// When the last server is gone in the middle of a stream, wait this long for one to come back. 0: do not wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = at_least(0_u64))]
    pub retry_for: u64,
    /// When a server owes a batch for this long, ask another one as well.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = at_least(1_u64))]
    pub stall_timeout: u64,
    /// Where the server makes batches for several clients and is short of processors, this client's streams get N times the time of
    /// one of weight 1. From 1 to what the token allows, which is 1 where it does not say. [default: what the token allows]
    #[arg(long, value_name = "N", value_parser = within(1..=100_u32))]
    pub weight: Option<u32>,
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
    /// Have batches sent through the socket also where server and client could share memory: on one machine, with --server unix:PATH. Only to
    /// compare, or where memory is short: the bytes are the same.
    #[arg(long)]
    pub no_shared_memory: bool,
}

impl Server {
    /// The token of the environment. There is no option for it: command lines are open to everybody on a machine.
    #[must_use]
    pub fn token_from_env() -> Option<String> {
        std::env::var("EQUIBATCH_TOKEN").ok()
    }
}

/// Where models run.
#[derive(Clone, Debug, Args)]
pub struct Execution {
    /// cpu, cuda or cuda:N. A device that cannot be used is an error, never replaced by another.
    #[arg(long, default_value_t = Device::Cpu)]
    pub device: Device,
    /// Threads within an operation; by default one per physical core.
    #[arg(long, value_name = "N", value_parser = non_zero)]
    pub threads: Option<NonZeroUsize>,
}

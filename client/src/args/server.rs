//! Arguments for servers, credentials and devices.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use equibatch_cli::value::{at_least, non_zero, within};

use equibatch_training::runtime::Device;

/// Servers and credentials.
#[derive(Clone, Debug, Args)]
pub struct Server {
    /// Server address: HOST:PORT, https://HOST:PORT for TLS, or unix:PATH for a server on this machine. Several, comma-separated, share
    /// the load and must hold the same files; streaming continues as long as one is available. A host name with several addresses counts
    /// as several servers, and is resolved again every 10 s and when a server is lost.
    #[arg(
        long,
        value_name = "ADDRESS,...",
        env = "EQUIBATCH_SERVER",
        default_value = "localhost:50051"
    )]
    pub server: String,
    /// If no server is left during a stream, retry for this many seconds; 0: fail at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = at_least(0_u64))]
    pub retry_for: u64,
    /// If a server has not sent a due batch for this many seconds, request it from another server as well.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = at_least(1_u64))]
    pub stall_timeout: u64,
    /// Scheduling weight of this client's streams, from 1 to 100: if the server's CPUs are saturated, they get N times the share of a
    /// stream with weight 1. Limited by the token (1 if it sets no limit). [default: the token's limit]
    #[arg(long, value_name = "N", value_parser = within(1..=100_u32))]
    pub weight: Option<u32>,
    /// PEM file with the CA certificates to verify the server by, instead of the system's trust store. For https only.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file with the client certificate, for servers that require one (mutual TLS).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of --tls-cert.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// File with the bearer token, for servers that require one. Default: the environment variable EQUIBATCH_TOKEN. The token is sent
    /// over https or within this machine only.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Receive batches through the socket even if server and client could share memory (on one machine, with --server unix:PATH). The
    /// data are the same; for comparison, or if shared memory is scarce.
    #[arg(long)]
    pub no_shared_memory: bool,
}

impl Server {
    /// The token in EQUIBATCH_TOKEN. There is no flag for it, since all users of a machine can see command lines.
    #[must_use]
    pub fn token_from_env() -> Option<String> {
        std::env::var("EQUIBATCH_TOKEN").ok()
    }
}

/// `KEY=VALUE`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as prefer_nhwc=1".to_owned()),
    }
}

/// Device and threads.
#[derive(Clone, Debug, Args)]
pub struct Execution {
    /// Device: cpu, cuda or cuda:N. There is no fallback: an unusable device is an error.
    #[arg(long, default_value_t = Device::Cpu)]
    pub device: Device,
    /// Option of ONNX Runtime's CUDA provider, as KEY=VALUE with its names: cudnn_conv_algo_search=HEURISTIC chooses convolutions without a search in the
    /// first step, prefer_nhwc=1 computes them channels-last, gpu_mem_limit=8589934592 limits the memory. May be repeated. For --device cuda only.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub cuda_option: Vec<(String, String)>,
    /// Intra-op threads. Default: the number of physical cores.
    #[arg(long, value_name = "N", value_parser = non_zero)]
    pub threads: Option<NonZeroUsize>,
}

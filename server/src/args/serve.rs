//! Arguments of `serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use equibatch_cli::value::{at_least, within};

use super::data::SplitArgs;

/// Arguments of `serve`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server serve --data pets=./pets                      listens on 127.0.0.1:50051, reachable from this machine only
  server serve --data pets=./pets --data flowers=./flowers --cache-bytes 8GiB
  server serve --data pets=./pets --listen 0.0.0.0:50051 --tls-cert server.pem --tls-key server.key --tokens tokens
  server serve --config server.toml                    `server serve --print-config ...` writes such a file

Exit codes: 0 stopped by SIGINT or SIGTERM, 64 usage error, 66 a folder cannot be served, 70 internal error, 74 I/O or system error,
78 configuration error, 130 or 143 stopped at once by a second signal.")]
pub struct Serve {
    /// TOML configuration file. Each key is a flag name without the dashes; [data] may be a table of dataset names and folders. The
    /// command line and the environment override the file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the resolved configuration as TOML and exit.
    #[arg(long)]
    pub print_config: bool,
    /// Dataset to serve: a folder with one subfolder of images per class, or with train, valid and test folders of such, and the name
    /// that clients request it by. Without NAME=, the folder's own name. May be repeated.
    #[arg(long = "data", value_name = "[NAME=]DIR", required = true)]
    pub data: Vec<String>,
    /// Address to listen on: HOST:PORT, :PORT (loopback only), or unix:PATH for clients on this machine. May be repeated or
    /// comma-separated. Without --tokens or --tls-client-ca, every client that can reach the port, or may write to the socket file, can
    /// read the images.
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:50051",
        env = "EQUIBATCH_LISTEN"
    )]
    pub listen: Vec<String>,
    /// Permission bits of Unix socket files, in octal. Processes with write permission can connect.
    #[arg(long, value_name = "MODE", default_value = "600")]
    pub socket_mode: String,
    /// Address of the plain-HTTP admin endpoint, which serves /healthz, /readyz and /metrics (Prometheus). Without a host: loopback only.
    /// Default: off.
    #[arg(long, value_name = "[HOST]:PORT")]
    pub admin: Option<String>,
    /// PEM file with the server's certificate chain; enables TLS. Requires --tls-key.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of --tls-cert.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// PEM file of CA certificates; requires every client to present a certificate that one of them has signed (mutual TLS).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// File of bearer tokens; requires every client to present one. Each line: the token (at least 16 characters) or sha256: and its
    /// hash, then a name for the log, then optional limits: datasets=A,B max-streams=N max-batch-bytes=SIZE max-image-size=PIXELS
    /// max-epochs=N weight=N (largest scheduling weight of its streams; default 1). The file is reloaded when it changes; streams of a
    /// removed token are closed.
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Worker threads that decode and augment, from 1 to 1024. Default: the number of CPUs available to this process.
    #[arg(long, value_name = "N", value_parser = within(1..=1024_usize))]
    pub threads: Option<usize>,
    /// Memory budget for caches, batches and decoders together; the process needs up to 128 MiB more. Bytes, or with a unit: KiB, MiB,
    /// GiB (KB, MB, GB). Default: three quarters of the memory available at startup (cgroup limit and free memory), but at least
    /// --cache-bytes plus --encoded-cache-bytes plus 1 GiB.
    #[arg(long, value_name = "SIZE")]
    pub memory_bytes: Option<String>,
    /// Size of the cache of decoded images, a part of --memory-bytes. Default: --memory-bytes less 3 GiB, but at least a quarter and at
    /// most half of it.
    #[arg(long, value_name = "SIZE")]
    pub cache_bytes: Option<String>,
    /// Size of the cache of undecoded files, for images that do not fit in --cache-bytes: they are read once, and decoded each time they
    /// are drawn. Useful for network file systems; local files are already in the page cache. A part of --memory-bytes.
    #[arg(long, value_name = "SIZE", default_value = "0")]
    pub encoded_cache_bytes: String,
    /// Largest amount of batch data buffered per stream, including a batch being sent; less if --memory-bytes is short. A stream whose
    /// first batch does not fit is refused.
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub stream_bytes: String,
    /// Largest batch that a client may request, up to 4 GiB less 16 MiB.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub max_batch_bytes: String,
    /// Largest global batch that a client may request, in images over all shards.
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = at_least(1_u32))]
    pub max_batch_size: u32,
    /// Largest number of shards (world size) that a client may request.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = at_least(1_u32))]
    pub max_world: u32,
    /// Largest image height and width that a client may request, in pixels, from 1 to 4096.
    #[arg(long, value_name = "PIXELS", default_value_t = 4096, value_parser = at_least(1_u32))]
    pub max_image_size: u32,
    /// Largest number of epochs that a client may request in one stream.
    #[arg(long, value_name = "EPOCHS", default_value_t = 1_000_000, value_parser = at_least(1_u32))]
    pub max_epochs: u32,
    /// Largest number of concurrent streams.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least(1_usize))]
    pub max_streams: usize,
    /// Largest number of concurrent streams per client: per token, or without tokens per IP address.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least(1_usize))]
    pub max_streams_per_client: usize,
    /// Largest number of concurrent connections. One IP address (IPv6: one /64 network) may use a quarter of them; an eighth is reserved
    /// for clients that have presented a token or opened a stream before. Less if the limit of open files (ulimit -n) is lower.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = at_least(1_usize))]
    pub max_connections: usize,
    /// Close a connection that has not sent the HTTP/2 preface, and reject a request that is not complete, within this many seconds.
    #[arg(long, alias = "greeting-timeout", value_name = "SECONDS", default_value_t = 10, value_parser = at_least(1_u64))]
    pub preface_timeout: u64,
    /// Close a connection without requests after this many seconds; 0: never. A connection with an open stream is never idle; one with an
    /// incomplete request can be.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = at_least(0_u64))]
    pub idle_timeout: u64,
    /// Abort a stream whose client reads nothing for this many seconds; 0: never. Allow for pauses in which a client validates its model.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = at_least(0_u64))]
    pub reader_timeout: u64,
    /// Send batches through the socket even to clients on this machine that could map them as shared memory.
    #[arg(long)]
    pub no_shared_memory: bool,
    /// Largest fraction of a split's images, from 0 to 1, that may prove undecodable before its streams fail. Until then another image of
    /// the same class replaces each.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1)]
    pub max_broken: f64,
    /// How the folders are scanned.
    #[command(flatten)]
    pub scan: SplitArgs,
    /// On SIGINT or SIGTERM, how many seconds open streams may take to finish their batch. A second signal stops the server at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = at_least(0_u64))]
    pub shutdown_grace: u64,
    /// Log format on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug or trace; or a filter such as info,equibatch_server=debug (syntax of tracing's EnvFilter).
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "EQUIBATCH_LOG")]
    pub log: String,
    /// Export traces by OTLP over gRPC to the OpenTelemetry collector at this address: http://HOST:PORT or https://HOST:PORT, usually
    /// with port 4317.
    #[arg(long, value_name = "ADDRESS")]
    pub otlp: Option<String>,
}

/// Log formats.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

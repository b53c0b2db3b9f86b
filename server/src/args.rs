//! The command line as typed. Validation and defaults are in [`config`](crate::config).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use equibatch_cli::{
    manual::{Completions, Man},
    value::{at_least, within},
};

mod batch_selector;
mod bench;
mod data;
mod explain;
pub mod file;
mod preview;

pub use batch_selector::BatchSelector;
pub use bench::{Bench, Stage};
pub use data::{Download, ScanArgs, Stats, Verify};
pub use explain::Explain;
pub use preview::Preview;

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
    /// Fraction of the images held out for validation, from 0 to 1, if the folder has no train and valid subfolders.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2)]
    pub valid_fraction: f64,
    /// Seed of the train/validation split. Each image is assigned by its path, so that adding or removing files moves no others.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub split_seed: u64,
    /// How the split is drawn.
    #[arg(long, value_enum, default_value_t = Split::Stratified)]
    pub split: Split,
    /// Ignore the EXIF orientation tag: use pixels as they are stored.
    #[arg(long)]
    pub ignore_orientation: bool,
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

/// How validation images are chosen.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Split {
    /// By path within each class, with at least one image of each class on either side.
    Stratified,
    /// By path, regardless of class.
    Random,
}

/// Log formats.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

/// Arguments of `sample-data`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server sample-data data                              200 flowers, 20 birds, and 10 more of each in data/test
  server sample-data data --classes cats,boats,fish --counts 300,30,10 --seed 7

Exit codes: 0 success, 64 usage error or a folder that is not empty, 74 I/O or system error.")]
pub struct SampleData {
    /// Folder to create; it must be empty or absent.
    pub dir: PathBuf,
    /// Class names, comma-separated. Default: flowers,birds.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Number of training images of each class, comma-separated; one number per class. Default: 200,20.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    pub counts: Vec<usize>,
    /// Number of additional images of each class in a `test` folder.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least(0_usize))]
    pub test_count: usize,
    /// Seed: the same seed gives the same images.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub seed: u64,
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

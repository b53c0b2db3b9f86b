//! What was typed. Decides nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use equibatch_cli::value::{at_least, within};

mod batch_selector;
mod bench;
mod data;
mod explain;
pub mod file;
mod manual;
mod preview;

pub use batch_selector::BatchSelector;
pub use bench::{Bench, Stage};
pub use data::{Download, ScanArgs, Stats, Verify};
pub use explain::Explain;
pub use manual::{Completions, Man};
pub use preview::Preview;

/// Streams class-balanced, augmented, normalised image batches over gRPC.
#[derive(Debug, Parser)]
#[command(name = "server", version, after_help = EXIT_CODES, max_term_width = 120)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0   done; `serve` was told to stop by SIGINT or SIGTERM and has stopped
  64  the command line makes no sense
  65  `verify` found something, and it is still there; `download` could not fetch some images
  66  the input is not there or is of no use: no such folder, no images, fewer than two classes
  69  `download` could not fetch any image; `health` found no server that serves
  70  a defect of this program
  74  the system refused: a port in use, a full disk
  78  the configuration file makes no sense";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve class folders until SIGINT or SIGTERM.
    #[command(allow_negative_numbers = true)]
    Serve(Box<Serve>),
    /// Say whether `serve` could use a configuration file, and what is wrong with it if not.
    #[command(allow_negative_numbers = true)]
    Check(Check),
    /// Ask a running server whether it serves: ends with 0 or 69, for health checks of containers.
    #[command(allow_negative_numbers = true)]
    Health(Health),
    /// Fetch the images of lists of addresses into class folders.
    #[command(allow_negative_numbers = true)]
    Download(Download),
    /// Look for broken, mislabelled, repeated and leaking images in class folders; delete, move or convert what is told.
    #[command(allow_negative_numbers = true)]
    Verify(Verify),
    /// Say what is in class folders, and what each balance policy would make of it.
    #[command(allow_negative_numbers = true)]
    Stats(Stats),
    /// Draw a small, unbalanced set of class folders to try things out with.
    #[command(allow_negative_numbers = true)]
    SampleData(SampleData),
    /// Say what a recipe of augmentations means, or list all that one can be made of.
    #[command(allow_negative_numbers = true)]
    Recipe(Recipe),
    /// Draw a labelled grid of a batch as training would see it, or one image beside augmentations of it.
    #[command(allow_negative_numbers = true)]
    Preview(Preview),
    /// Say of which images a batch is made, and what happened to each, in numbers and as a picture.
    #[command(allow_negative_numbers = true)]
    Explain(Explain),
    /// Measure what a batch costs on this machine, stage by stage.
    #[command(allow_negative_numbers = true)]
    Bench(Bench),
    /// Print what makes a shell complete this program's options.
    #[command(allow_negative_numbers = true)]
    Completions(Completions),
    /// Print this program's manual page, or write all of them.
    #[command(allow_negative_numbers = true)]
    Man(Man),
}

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server check server.toml                             says what would be served, or what makes no sense
  server check server.toml && systemctl restart equibatch

Exit codes: 0 it makes sense, 66 no such file, 78 it does not: the line and the key are named.")]
pub struct Check {
    /// The file, as for `serve --config`.
    pub config: PathBuf,
}

/// Options of `health`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server health                                        the server on this machine
  server health unix:/run/equibatch.sock
  server health https://loader:50051 --tls-ca root.pem

Exit codes: 0 it serves, 64 senseless options, 69 it does not, or nobody answers.")]
pub struct Health {
    /// HOST:PORT, https://HOST:PORT, or unix:PATH.
    #[arg(default_value = "127.0.0.1:50051")]
    pub address: String,
    /// The authority that signed the server's certificate, in PEM form. Default: those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

/// Options of `serve`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server serve --data pets=./pets                      to this machine only, at 127.0.0.1:50051
  server serve --data pets=./pets --data flowers=./flowers --cache-bytes 8GiB
  server serve --data pets=./pets --listen 0.0.0.0:50051 --tls-cert server.pem --tls-key server.key --tokens tokens
  server serve --config server.toml                    `server serve --print-config ...` writes such a file

Exit codes: 0 stopped by SIGINT or SIGTERM, 64 senseless options, 66 a folder cannot be served, 70 a defect of this program, 74 the system
refused, 78 the configuration file makes no sense, 130 or 143 a second signal.")]
pub struct Serve {
    /// A TOML file with options: a key is an option's name without the dashes, and [data] may be a table of names and folders. What is
    /// typed or in the environment wins.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print all options as such a file, and end.
    #[arg(long)]
    pub print_config: bool,
    /// A folder with one folder of images per class (or with train, valid and test folders of such), and the name that clients know it
    /// by. Without NAME=, the folder's own name. May be given several times.
    #[arg(long = "data", value_name = "[NAME=]DIR", required = true)]
    pub data: Vec<String>,
    /// Where to listen: HOST:PORT, :PORT, or unix:PATH for clients on this machine. Without a host: on this machine only. May be given
    /// several times, or as a list with commas. Without --tokens or --tls-client-ca, whoever reaches the port, or may write to the
    /// socket file, can read the images.
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:50051",
        env = "EQUIBATCH_LISTEN"
    )]
    pub listen: Vec<String>,
    /// Permission bits of socket files, in octal: whoever may write may connect.
    #[arg(long, value_name = "MODE", default_value = "600")]
    pub socket_mode: String,
    /// Where to answer the operator over plain HTTP: /healthz, /readyz and /metrics. Without a host: on this machine only. Off by default.
    #[arg(long, value_name = "[HOST]:PORT")]
    pub admin: Option<String>,
    /// Encrypt connections: a PEM file with the server's certificate, and those between it and its root.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// A PEM file with the private key to that.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let in only clients with a certificate from one of the roots in this PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// Let in only clients with a token from this file: one a line, itself (16 characters at least) or sha256: and its hash, then a name
    /// for the log, then what it may, where that is not everything: datasets=A,B max-streams=N max-batch-bytes=SIZE max-image-size=PIXELS
    /// max-epochs=N weight=N (of its streams, where processors are short; without it 1). The file is read again when it changes; streams whose token is gone end.
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Threads that decode and augment. Default: as many as this process may use processors.
    #[arg(long, value_name = "N", value_parser = within(1..=1024_usize))]
    pub threads: Option<usize>,
    /// Memory of images, files, batches and decoders together, at most; the program takes up to 128 MiB beside it. A number of bytes, or with
    /// KiB, MiB, GiB (KB, MB, GB). Default: three quarters of what is left to this process when it starts, by its control group's limit and
    /// by what the machine has; and 1 GiB more than --cache-bytes and --encoded-cache-bytes, at least.
    #[arg(long, value_name = "SIZE")]
    pub memory_bytes: Option<String>,
    /// Decoded images kept in memory, at most: a part of --memory-bytes. Default: half of it, or what it has beyond 3 GiB where that is less,
    /// and a quarter at least.
    #[arg(long, value_name = "SIZE")]
    pub cache_bytes: Option<String>,
    /// Files kept in memory as they are, at most, of images that are not kept decoded: they are decoded each time they are drawn, and read
    /// once. Of use where files come from far away; for those of this machine the system does the same by itself. A part of --memory-bytes, beside --cache-bytes.
    #[arg(long, value_name = "SIZE", default_value = "0")]
    pub encoded_cache_bytes: String,
    /// Batches that one stream may hold in memory, unread or being sent: a part of --memory-bytes. It is less where that is short; a stream for
    /// which there is no room for one batch is refused.
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub stream_bytes: String,
    /// Largest batch that may be asked for.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub max_batch_bytes: String,
    /// Largest global batch that may be asked for, in images, over all its shards.
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = at_least(1_u32))]
    pub max_batch_size: u32,
    /// Most shards that a global batch may be cut into.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = at_least(1_u32))]
    pub max_world: u32,
    /// Largest height and width of images that may be asked for, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 4096, value_parser = at_least(1_u32))]
    pub max_image_size: u32,
    /// Longest stream that may be asked for.
    #[arg(long, value_name = "EPOCHS", default_value_t = 1_000_000, value_parser = at_least(1_u32))]
    pub max_epochs: u32,
    /// Streams that may be open at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least(1_usize))]
    pub max_streams: usize,
    /// Streams that one client may have open: the owner of a token, or without tokens whoever comes from one address.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least(1_usize))]
    pub max_streams_per_client: usize,
    /// Connections that may be open at a time; one address (of IPv6, one network of 64 bits) may have a quarter of them, and an eighth is kept
    /// for clients that had a token or a stream. Fewer, if the process may not have as many files open.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = at_least(1_usize))]
    pub max_connections: usize,
    /// A connection that has not begun to speak HTTP/2 within this is closed, and a request that is not complete within this is refused, in
    /// seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = at_least(1_u64))]
    pub greeting_timeout: u64,
    /// Close a connection on which nothing was asked for this many seconds; 0: never. A connection with an open stream is never idle, one
    /// with an unfinished request may be.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = at_least(0_u64))]
    pub idle_timeout: u64,
    /// A stream whose reader takes nothing for this long ends with a status, in seconds; 0: it may take for ever. A client that validates its
    /// model reads nothing meanwhile.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = at_least(0_u64))]
    pub reader_timeout: u64,
    /// Send batches through the socket also to clients on this machine that could read them where they are made.
    #[arg(long)]
    pub no_shared_memory: bool,
    /// Part of a split's images that may turn out to be broken before its streams fail, from 0 to 1.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1)]
    pub max_broken: f64,
    /// Part of the images held out for validation, from 0 to 1, where there are no train and valid folders.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2)]
    pub valid_fraction: f64,
    /// Seed of that choice. It is made for each image by its path, so that images that come or go move no others.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub split_seed: u64,
    /// How that choice is made.
    #[arg(long, value_enum, default_value_t = Split::Stratified)]
    pub split: Split,
    /// Take pixels as they are stored, whatever the camera's orientation tag says.
    #[arg(long)]
    pub ignore_orientation: bool,
    /// How long open streams may take to finish their batch when the server is told to stop, in seconds. A second signal ends it at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = at_least(0_u64))]
    pub shutdown_grace: u64,
    /// Form of the log on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Least important messages that are logged: error, warn, info, debug, trace, or a filter as of the tracing crate.
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "EQUIBATCH_LOG")]
    pub log: String,
    /// Send traces of requests, streams and batches to the OpenTelemetry collector at this address, http://HOST:PORT or https://HOST:PORT,
    /// which takes the protocol OTLP over gRPC, usually on port 4317.
    #[arg(long, value_name = "ADDRESS")]
    pub otlp: Option<String>,
}

/// How validation images are chosen.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Split {
    /// Each image by its path, with one of each class on either side at least.
    Stratified,
    /// Each image by its path, whatever its class.
    Random,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Options of `sample-data`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server sample-data data                              200 flowers, 20 birds, and 10 more of each in data/test
  server sample-data data --classes cats,boats,fish --counts 300,30,10 --seed 7

Exit codes: 0 done, 64 senseless options or a folder that holds something, 74 the system refused.")]
pub struct SampleData {
    /// The folder to make; it must not hold anything yet.
    pub dir: PathBuf,
    /// Names of the classes, separated by commas. Default: flowers,birds.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Images of each class, separated by commas. Default: 200,20.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    pub counts: Vec<usize>,
    /// Further images of each class, in a folder `test`, to predict at the end.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least(0_usize))]
    pub test_count: usize,
    /// Equal seeds draw equal images.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub seed: u64,
}

/// Options of `recipe`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server recipe                                        all presets and parts, with the range of every number
  server recipe 'fastai rotate(10)'                    what that means
  server recipe --json                                 for a program

Exit codes: 0 done, 64 no recipe.")]
pub struct Recipe {
    /// A recipe, such as `fastai rotate(10)`. Printed with every number by name. Without it: all presets and parts.
    pub text: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

//! Arguments of the commands that download, verify, summarise and generate image folders.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use equibatch_cli::value::{at_least, within};
use equibatch_tools::verify::VerifyOptions;

/// How class folders are split, and their images oriented.
#[derive(Args, Debug)]
pub struct SplitArgs {
    /// Fraction of the images held out for validation, from 0 to 1, if the folder has no train and valid subfolders.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2)]
    pub valid_fraction: f64,
    /// Seed of the train/validation split. Each image is assigned by its path, so that adding or removing files moves no others.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub split_seed: u64,
    /// How the split is drawn.
    #[arg(long = "split", value_enum, value_name = "SPLIT", default_value_t = Split::Stratified)]
    pub method: Split,
    /// Ignore the EXIF orientation tag: use pixels as they are stored.
    #[arg(long)]
    pub ignore_orientation: bool,
}

/// How validation images are chosen.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Split {
    /// By path within each class, with at least one image of each class on either side.
    Stratified,
    /// By path, regardless of class.
    Random,
}

/// How class folders are scanned, as by `serve`.
#[derive(Args, Debug)]
pub struct ScanArgs {
    /// How they are split.
    #[command(flatten)]
    pub split: SplitArgs,
    /// Threads that read and decode, from 1 to 1024. Default: the number of CPUs available to this process.
    #[arg(long, value_name = "N", value_parser = within(1..=1024_usize))]
    pub threads: Option<usize>,
}

/// Arguments of `stats`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server stats data                                    everything, for the default sizes of `client train`
  server stats data --no-pixels                        fast: reads headers only
  server stats data --balance power:0.3 --batch-size 32
  server stats data --balance 'natural>oversample@0.8' --epochs 10
  server stats data --json | jq .pixels.natural        mean and std for --mean and --std of `client train`

Exit codes: 0 success, 64 usage error, 66 no such folder or no usable image in it, 74 I/O or system error.")]
pub struct Stats {
    /// Folder with one subfolder of images per class, as for `serve --data`.
    pub dir: PathBuf,
    /// Height and width of the images that would be streamed, in pixels, from 1 to 4096.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = at_least(1_u32))]
    pub image_size: u32,
    /// Images per batch.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least(1_u32))]
    pub batch_size: u32,
    /// Balance policy to evaluate: oversample, undersample, natural, power:X from 0 (natural) to 1 (oversample), effective:BETA, repeat-factor, repeat-factor:T,
    /// progressive, or a schedule FROM>TO or FROM>TO@FRACTION such as 'natural>oversample@0.8'. May be repeated. Default: natural, power:0.5, oversample,
    /// undersample.
    #[arg(long, value_name = "POLICY")]
    pub balance: Vec<String>,
    /// Epochs of the training, over which progressive and other schedules change, from 1 to 10000.
    #[arg(long, value_name = "N", value_parser = within(1..=10_000_u32))]
    pub epochs: Option<u32>,
    /// Read image headers only, and leave out channel mean and std.
    #[arg(long)]
    pub no_pixels: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    /// How the folder is scanned.
    #[command(flatten)]
    pub scan: ScanArgs,
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server verify data                                   report only, change nothing
  server verify data --delete --dry-run                print what would be deleted
  server verify data --quarantine ../bad               move broken files away
  server verify data --out clean --max-size 500        a copy: RGB JPEGs of at most 500 pixels, without broken files
  server verify data --delete --kinds broken,duplicate

Exit codes: 0 no findings, or all resolved, 64 usage error, 65 findings remain, 66 no such folder or no images,
74 I/O or system error.")]
pub struct Verify {
    /// Folder with one subfolder of images per class, as for `serve --data`.
    pub dir: PathBuf,
    /// Images whose short side is below this many pixels are reported as tiny.
    #[arg(long, value_name = "PIXELS", default_value_t = 32, value_parser = at_least(0_u32))]
    pub min_size: u32,
    /// Largest Hamming distance between the 64-bit perceptual hashes of near duplicates, from 0 to 11.
    #[arg(long, value_name = "BITS", default_value_t = 6, value_parser = within(0..=VerifyOptions::MAX_DISTANCE))]
    pub similar: u32,
    /// Find byte-identical files only, no near duplicates.
    #[arg(long, conflicts_with = "similar")]
    pub exact: bool,
    /// Delete files with findings of --kinds.
    #[arg(long, conflicts_with_all = ["quarantine", "out"])]
    pub delete: bool,
    /// Move files with findings of --kinds into this folder, which must be outside the verified one.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub quarantine: Option<PathBuf>,
    /// Kinds of findings that --delete and --quarantine remove and --out leaves out, comma-separated: broken, refused, extension, tiny,
    /// blank, duplicate, near. Of duplicate and near images the first is kept; all are kept if their classes differ. Default: broken.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub kinds: Vec<String>,
    /// Write a cleaned copy of the data set into this folder, which must be empty or absent: upright RGB JPEGs within --max-size
    /// unchanged, all other images re-encoded as such. The original is not modified.
    #[arg(long, value_name = "DIR", conflicts_with = "in_place")]
    pub out: Option<PathBuf>,
    /// Replace every image that is not an upright RGB JPEG within --max-size by one. The original files are lost. If a call is killed, each image is
    /// still there in its old or its new form; the next call removes the temporary files that it left.
    #[arg(long)]
    pub in_place: bool,
    /// Longest side of the images that --out and --in-place write, in pixels; larger images are downscaled, smaller ones never enlarged.
    /// Default: no limit.
    #[arg(long, value_name = "PIXELS", value_parser = at_least(1_u32))]
    pub max_size: Option<u32>,
    /// Quality of the JPEGs that --out and --in-place write, from 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = within(1..=100_u8))]
    pub quality: u8,
    /// Print what would be done, without changing anything.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
    /// How the folder is scanned.
    #[command(flatten)]
    pub scan: ScanArgs,
}

/// Arguments of `sample-data`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server sample-data data                              200 flowers, 20 birds, and 10 more of each in data/test
  server sample-data data --classes cats,boats,fish --counts 300,30,10 --seed 7
  server sample-data data --long-tail 50:100           50 classes of 200 to 2 images

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
    /// A long-tailed set instead: this many classes, named class01 and so on, of exponentially fewer images, from --counts N (default: 200) for the
    /// largest to N / FACTOR for the smallest.
    #[arg(long, value_name = "CLASSES:FACTOR", conflicts_with = "classes")]
    pub long_tail: Option<String>,
    /// Number of additional images of each class in a `test` folder.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least(0_usize))]
    pub test_count: usize,
    /// Seed: the same seed gives the same images.
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = at_least(0_u64))]
    pub seed: u64,
}

/// Arguments of `download`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server download urls_birds.csv=birds urls_flowers.csv=flowers --max-pics 200 --out data
  server download urls.txt=birds --out data --jobs 32 --per-host 2 --retries 5
  server download urls.txt=birds --out data --json > report.json

Images that exist already are skipped, so that a second run retries what failed. `server verify` then finds images that should not be trained on.

Exit codes: 0 every image was fetched, 64 usage error, 65 some images could not be fetched, 66 a list is missing or empty,
69 no image could be fetched, 74 I/O or system error, such as a full disk.")]
pub struct Download {
    /// Text file with one URL per line, and the class of its images. One list per class.
    #[arg(value_name = "LIST=CLASS", required = true)]
    pub lists: Vec<String>,
    /// Folder of the class folders, created if missing. Existing files are never overwritten, and nothing is written outside of it.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Read at most this many non-empty lines of each list. Default: all.
    #[arg(long, value_name = "N", value_parser = at_least(0_usize))]
    pub max_pics: Option<usize>,
    /// Concurrent connections, from 1 to 1024.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least(1_usize))]
    pub jobs: usize,
    /// Concurrent connections per host, from 1 to 1024.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least(1_usize))]
    pub per_host: usize,
    /// Retries after a transient error, with exponential backoff. A Retry-After of up to 60 seconds is honoured.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least(0_u32))]
    pub retries: u32,
    /// Timeout of name resolution, connecting, and each read and write, in seconds, from 0.001 to 86400.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub timeout: f64,
    /// Total timeout of one attempt, in seconds, from 0.001 to 86400.
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    pub max_time: f64,
    /// Largest file to download.
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    pub max_bytes: String,
    /// Allow connections to loopback, private and other non-public addresses: to all of them, or only to the comma-separated addresses
    /// given. By default they are refused, so that a list of URLs cannot reach services behind a firewall (SSRF).
    #[arg(long, value_name = "ADDRESSES", num_args = 0.., require_equals = true, value_delimiter = ',')]
    pub allow_private: Option<Vec<IpAddr>>,
    /// Value of the User-Agent header. Default: equibatch/VERSION.
    #[arg(long, value_name = "TEXT")]
    pub user_agent: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

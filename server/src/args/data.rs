//! Options of the commands that gather and judge folders of images.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;

use super::Split;
use equibatch_cli::value::{at_least, within};

/// How a folder is read: as `serve` would.
#[derive(Args, Debug)]
pub struct ScanArgs {
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
    /// Threads that read and decode. Default: as many as this process may use processors.
    #[arg(long, value_name = "N", value_parser = within(1..=1024_usize))]
    pub threads: Option<usize>,
}

/// Options of `stats`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server stats data                                    everything, at the sizes of `client train`
  server stats data --no-pixels                        at once: reads headers only
  server stats data --balance power:0.3 --batch-size 32
  server stats data --json | jq .pixels.natural        mean and std for a request's normalization

Exit codes: 0 done, 64 senseless options, 66 no such folder or no usable image in it, 74 the system refused.")]
pub struct Stats {
    /// A folder with one folder of images per class, as for `serve --data`.
    pub dir: PathBuf,
    /// Height and width of the images that would be streamed, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = at_least(1_u32))]
    pub image_size: u32,
    /// Images in a batch that would be streamed.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least(1_u32))]
    pub batch_size: u32,
    /// A policy to try: oversample, undersample, natural, power:X from 0 (natural) to 1 (oversample), or effective:BETA. May be given
    /// several times. Default: natural, power:0.5, oversample, undersample.
    #[arg(long, value_name = "POLICY")]
    pub balance: Vec<String>,
    /// Read headers only, and say nothing of mean and standard deviation.
    #[arg(long)]
    pub no_pixels: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub scan: ScanArgs,
}

/// Options of `verify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server verify data                                   look, change nothing
  server verify data --delete --dry-run                say what would be deleted
  server verify data --quarantine ../bad               move broken files away
  server verify data --out clean --max-size 500        a copy: RGB JPEGs of at most 500 pixels, without broken files
  server verify data --delete --kinds broken,duplicate

Exit codes: 0 nothing is wrong, or no longer, 64 senseless options, 65 something is wrong, 66 no such folder or no images,
74 the system refused.")]
pub struct Verify {
    /// A folder with one folder of images per class, as for `serve --data`.
    pub dir: PathBuf,
    /// Short side below which an image is called tiny, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 32, value_parser = at_least(0_u32))]
    pub min_size: u32,
    /// Bits, of 64, in which the perceptual hashes of images that look the same may differ, from 0 to 11.
    #[arg(long, value_name = "BITS", default_value_t = 6, value_parser = within(0..=11_u32))]
    pub similar: u32,
    /// Look for files of equal bytes only, not for images that look the same.
    #[arg(long, conflicts_with = "similar")]
    pub exact: bool,
    /// Delete files with findings of --kinds.
    #[arg(long, conflicts_with_all = ["quarantine", "out"])]
    pub delete: bool,
    /// Move files with findings of --kinds into this folder, which must lie outside of the verified one.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub quarantine: Option<PathBuf>,
    /// What --delete and --quarantine take and --out leaves out, separated by commas: broken, refused, extension, tiny, blank, duplicate,
    /// near. Of duplicate and near images one stays, and all do where they are of two classes. Default: broken.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub kinds: Vec<String>,
    /// Write a copy of all images into this folder, which must not hold anything yet: upright RGB JPEGs within --max-size byte for
    /// byte, all others as such. Changes nothing else.
    #[arg(long, value_name = "DIR", conflicts_with = "in_place")]
    pub out: Option<PathBuf>,
    /// Replace every image that is not an upright RGB JPEG within --max-size by one. The originals are gone.
    #[arg(long)]
    pub in_place: bool,
    /// Longest side of the images that --out and --in-place write, in pixels; larger ones are shrunk, smaller ones never enlarged.
    #[arg(long, value_name = "PIXELS", value_parser = at_least(1_u32))]
    pub max_size: Option<u32>,
    /// Quality of the JPEGs that --out and --in-place write, from 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = within(1..=100_u8))]
    pub quality: u8,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of lines.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub scan: ScanArgs,
}

/// Options of `download`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  server download urls_birds.csv=birds urls_flowers.csv=flowers --max-pics 200 --out data
  server download urls.txt=birds --out data --jobs 32 --per-host 2 --retries 5
  server download urls.txt=birds --out data --json > report.json

A second run fetches what the first one could not. `server verify` then finds what should not be learnt from.

Exit codes: 0 every line has its image, 64 senseless options, 65 some lines have none, 66 no list, or nothing in it, 69 nothing could be
fetched at all, 74 the system refused, as on a full disk.")]
pub struct Download {
    /// A text file of one address a line, and the class that its images belong to. A class has one list.
    #[arg(value_name = "LIST=CLASS", required = true)]
    pub lists: Vec<String>,
    /// The folder of the class folders; made where it is missing. Nothing is written elsewhere, and nothing overwritten.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Lines of each list that are read, empty ones not counted. Default: all.
    #[arg(long, value_name = "N", value_parser = at_least(0_usize))]
    pub max_pics: Option<usize>,
    /// Connections at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least(1_usize))]
    pub jobs: usize,
    /// Of those, to the host that an address names.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least(1_usize))]
    pub per_host: usize,
    /// Further tries where the server or the network may do better, each after a longer wait. A server that asks for up to 60 seconds
    /// of rest gets them.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least(0_u32))]
    pub retries: u32,
    /// Longest time without a byte, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub timeout: f64,
    /// Longest time for one try, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    pub max_time: f64,
    /// Largest file.
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    pub max_bytes: String,
    /// Connect to addresses of this machine and its network, too; to all of them, or to the ones named, separated by commas. Without
    /// it, a list from a stranger cannot reach what a firewall protects.
    #[arg(long, value_name = "ADDRESSES", num_args = 0.., require_equals = true, value_delimiter = ',')]
    pub allow_private: Option<Vec<IpAddr>>,
    /// How the program calls itself to servers.
    #[arg(long, value_name = "TEXT")]
    pub user_agent: Option<String>,
    /// Print JSON instead of lines.
    #[arg(long)]
    pub json: bool,
}

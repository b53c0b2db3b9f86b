use std::path::PathBuf;

use clap::{Args, ValueEnum};
use equibatch_cli::value::within;

use super::{AdjustArgs, Execution, Server};
use equibatch_training::program::{OPSET, OPSETS};

/// `client export`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client export runs/flowers --fold --out folded.onnx  batch norms folded into convolutions
  client export runs/flowers --preprocess u8 --layout nhwc --out pixels.onnx    takes u8 pixels in NHWC order
  client export runs/flowers --prior uniform --threshold f1 --out adjusted.onnx    other class frequencies, and the best threshold")]
pub struct Export {
    /// Device and threads.
    #[command(flatten)]
    pub execution: Execution,
    /// Run folder.
    #[arg(
        value_name = "RUN",
        required_unless_present = "model",
        conflicts_with = "model"
    )]
    pub run: Option<PathBuf>,
    /// Model file written by `client train`, instead of a run.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Fold batch norms into the adjacent convolutions and linear layers: fewer nodes, same function up to rounding.
    #[arg(long)]
    pub fold: bool,
    /// Preprocessing inside the model. u8: the input is RGB pixels from 0 to 255, normalised as (pixel / 255 - mean) / std by the first
    /// nodes; resizing and cropping remain outside. none: the input is normalised floats.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Preprocess::None)]
    pub preprocess: Preprocess,
    /// With --preprocess u8, order of the input: nchw, or nhwc as in image libraries. [default: nchw]
    #[arg(long, value_name = "ORDER", value_enum)]
    pub layout: Option<PixelOrder>,
    /// Adjustments, built into the model; the threshold is in its metadata, and `client predict` uses it.
    #[command(flatten)]
    pub adjust: AdjustArgs,
    /// Servers and credentials, for what is fitted to validation images.
    #[command(flatten)]
    pub server: Server,
    /// Dataset name, for what is fitted to validation images. Default: that of the run, or the server's only dataset.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// ONNX opset version; older versions are for older runtimes.
    #[arg(long, value_name = "N", default_value_t = OPSET, value_parser = within(OPSETS))]
    pub opset: i64,
    /// File to write, which must differ from the source. It is written only after the exported model was verified against the original;
    /// an existing file is replaced.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Values of `--preprocess`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preprocess {
    /// The model takes normalised floats.
    None,
    /// The model takes u8 pixels.
    U8,
}

/// Values of `--layout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PixelOrder {
    /// `[N, 3, S, S]`.
    Nchw,
    /// `[N, S, S, 3]`.
    Nhwc,
}

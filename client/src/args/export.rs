use std::path::PathBuf;

use clap::{Args, ValueEnum};
use equibatch_cli::value::within;

use super::Execution;
use equibatch_training::program::{OPSET, OPSETS};

/// `client export`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client export runs/flowers --fold --out folded.onnx  fewer nodes, the same function
  client export runs/flowers --preprocess u8 --layout nhwc --out pixels.onnx    takes bytes as image libraries have them")]
pub struct Export {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    /// Folder of a training run.
    #[arg(
        value_name = "RUN",
        required_unless_present = "model",
        conflicts_with = "model"
    )]
    pub run: Option<PathBuf>,
    /// A model file that `client train` has written, in place of a run.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Merge batch norms into the convolutions and matrices beside them: fewer nodes, the same function up to rounding.
    #[arg(long)]
    pub fold: bool,
    /// What of the preprocessing the model does itself. u8: it takes pixels from 0 to 255 (RGB), and its first nodes compute
    /// (pixel / 255 - mean) / std. Shrinking and cutting out stay outside. none: it takes normalised floats.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Preprocess::None)]
    pub preprocess: Preprocess,
    /// With --preprocess u8, the order of the bytes: nchw, or nhwc as image libraries have them. [default: nchw]
    #[arg(long, value_name = "ORDER", value_enum)]
    pub layout: Option<PixelOrder>,
    /// Version of ONNX's operator set: older ones for older runtimes.
    #[arg(long, value_name = "N", default_value_t = OPSET, value_parser = within(OPSETS))]
    pub opset: i64,
    /// The file to write, in place of one of that name. It is written when the new model was compared with the old one, which it must not be.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Choices of `--preprocess`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preprocess {
    /// Normalised floats come in.
    None,
    /// Pixels come in.
    U8,
}

/// Choices of `--layout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PixelOrder {
    /// `[N, 3, S, S]`.
    Nchw,
    /// `[N, S, S, 3]`.
    Nhwc,
}

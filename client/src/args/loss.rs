//! Loss and optimizer options.

use clap::Args;
use equibatch_cli::value::within;
use equibatch_training::program::Precision;
use serde::{Deserialize, Serialize};

use crate::learn::{class_weights::ClassWeights, metrics::Metric};

/// Loss and optimizer options.
#[derive(Clone, Debug, Args)]
pub struct LossArgs {
    /// Label smoothing (Szegedy et al., 2016): fraction of each label that is spread evenly over all classes, from 0 to less than 1; 0.1
    /// is common. [default: 0]
    #[arg(long, value_name = "EPSILON", value_parser = fraction)]
    pub label_smoothing: Option<f32>,
    /// Class weights in the loss, from the server's training counts: inverse (of the number of images), effective:BETA (of the effective
    /// number of samples, Cui et al., 2019; e.g. 0.999), or none. An alternative to balanced sampling: use with --balance natural.
    /// [default: none]
    #[arg(long, value_name = "KIND")]
    pub class_weights: Option<ClassWeights>,
    /// Logit-adjusted loss (Menon et al., 2021): adds TAU times the logarithm of each class's share of the stream, times its class weight, to the
    /// logits in the loss, so that rare classes are learnt as if all were equally frequent. 1 is the balanced softmax (Ren et al., 2020). Does
    /// nothing where classes are balanced already: use with --balance natural. From 0 to 10. [default: 0]
    #[arg(long, value_name = "TAU", value_parser = tau)]
    pub logit_adjust: Option<f32>,
    /// Focal loss gamma (Lin et al., 2017), from 0 to 100: scales the loss of an image whose class has probability p by (1 - p)^GAMMA; 2
    /// is common, 0 is plain cross-entropy. [default: 0]
    #[arg(long, value_name = "GAMMA", value_parser = gamma)]
    pub focal: Option<f32>,
    /// Clip gradients to this global L2 norm. [default: no clipping]
    #[arg(long, value_name = "NORM", value_parser = norm)]
    pub clip_norm: Option<f32>,
    /// Gradient accumulation: micro-batches per optimizer step, from 1 to 1024, for effective batches that do not fit in memory. Equal to
    /// a batch N times as large, except that batch norm uses per-micro-batch statistics. [default: 1]
    #[arg(long, value_name = "N", value_parser = within(1..=1024_u32))]
    pub accumulate: Option<u32>,
    /// Decay of an exponential moving average of the weights, from 0 to less than 1; the average is evaluated and exported instead of the
    /// last weights. 0.999 for thousands of steps, less for fewer. Warm-up: min(DECAY, (1 + step) / (10 + step)). [default: no EMA]
    #[arg(long, value_name = "DECAY", value_parser = fraction)]
    pub ema: Option<f32>,
    /// Compute precision: f32; tf32 (matrix multiplications and convolutions with a 10-bit mantissa); bf16 or f16 (mixed precision:
    /// matrix multiplications, convolutions and safe operators in half precision). Weights, optimizer moments and statistics stay in f32;
    /// f16 uses dynamic loss scaling. All but f32 need --device cuda. [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub precision: Option<Precision>,
}

/// Metrics to display, and TensorBoard logging.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisplayArgs {
    /// Validation metrics to display after each epoch, comma-separated: loss, accuracy, error_rate, balanced_accuracy, macro_f1, auroc
    /// (two classes), worst_recall, mcc (Matthews correlation), ece (expected calibration error, 15 bins), top:K, recall:CLASS, precision:CLASS, f1:CLASS. metrics.jsonl has all of them. [default:
    /// error_rate,balanced_accuracy,macro_f1 and auroc or top:5]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub metrics: Vec<Metric>,
    /// Do not write TensorBoard event files.
    #[arg(long)]
    pub no_tensorboard: bool,
}

fn fraction(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| (0.0..1.0).contains(&number),
        "expected a number from 0 to less than 1",
    )
}

fn tau(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| (0.0..=10.0).contains(&number),
        "expected a number from 0 to 10",
    )
}

fn gamma(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| (0.0..=100.0).contains(&number),
        "expected a number from 0 to 100",
    )
}

fn norm(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| number > 0.0 && number.is_finite(),
        "expected a number above 0",
    )
}

fn number(text: &str, is_allowed: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|&number| is_allowed(number))
        .ok_or_else(|| expected.to_owned())
}

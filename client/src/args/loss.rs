//! What training makes small, and how its steps are taken.

use clap::Args;
use equibatch_cli::value::within;
use equibatch_training::program::Precision;
use serde::{Deserialize, Serialize};

use crate::learn::{class_weights::ClassWeights, metrics::Metric};

/// What training makes small, and how its steps are taken.
#[derive(Clone, Debug, Args)]
pub struct LossArgs {
    /// Spread this part of each label evenly over all classes, so that the network does not strive for certainty: 0.1 is usual.
    /// [default: 0]
    #[arg(long, value_name = "PART", value_parser = part)]
    pub label_smoothing: Option<f32>,
    /// Let rare classes count more in the loss, by the server's counts: inverse (to the number of images), effective:BETA (to the
    /// effective number of images; BETA 0.999), or none. Instead of a balanced stream: use it with --balance natural. [default: none]
    #[arg(long, value_name = "KIND")]
    pub class_weights: Option<ClassWeights>,
    /// Focal loss: images that are recognised with probability p count (1 - p)^GAMMA times as much; 2 is usual. [default: 0]
    #[arg(long, value_name = "GAMMA", value_parser = gamma)]
    pub focal: Option<f32>,
    /// Scale gradients down where the norm of all of them together is larger than this. [default: never]
    #[arg(long, value_name = "NORM", value_parser = norm)]
    pub clip_norm: Option<f32>,
    /// Learn from N batches in every step, computed one after another, for more images per step than fit the memory. The same as a batch N
    /// times as large, but for batch norm, which normalises each of the N by itself. [default: 1]
    #[arg(long, value_name = "N", value_parser = within(1..=1024_u32))]
    pub accumulate: Option<u32>,
    /// Keep an exponential moving average of all weights, and judge and export that instead of the last weights: 0.999 for thousands of
    /// steps, less for fewer. Early on, the average is shorter: min(DECAY, (1 + step) / (10 + step)). [default: none]
    #[arg(long, value_name = "DECAY", value_parser = part)]
    pub ema: Option<f32>,
    /// What steps compute in: f32; tf32, the same with products of 11 bits; bf16 or f16, with products and what is safe after them in half
    /// precision. Weights, moments and statistics stay in single precision, and f16 scales the loss. All but f32 need --device cuda.
    /// [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub precision: Option<Precision>,
}

/// Which figures a person sees.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisplayArgs {
    /// Figures of the validation images to show after every epoch: loss, accuracy, error_rate, balanced_accuracy, macro_f1, auroc (of two
    /// classes), top:K, recall:CLASS, precision:CLASS, f1:CLASS. All of them are in metrics.jsonl. [default:
    /// error_rate,balanced_accuracy,macro_f1 and auroc or top:5]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub metrics: Vec<Metric>,
    /// Do not write event files for TensorBoard.
    #[arg(long)]
    pub no_tensorboard: bool,
}

fn part(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| (0.0..1.0).contains(&number),
        "use a number from 0 to less than 1",
    )
}

fn gamma(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| (0.0..=100.0).contains(&number),
        "use a number from 0 to 100",
    )
}

fn norm(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| number > 0.0 && number.is_finite(),
        "use a number above 0",
    )
}

fn number(text: &str, is_allowed: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|&number| is_allowed(number))
        .ok_or_else(|| expected.to_owned())
}

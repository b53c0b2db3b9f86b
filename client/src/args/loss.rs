//! Loss and step options.

use clap::Args;
use equibatch_cli::value::{at_least, within};
use equibatch_training::program::Precision;
use serde::{Deserialize, Serialize};

use super::number::{fraction, gamma, margin, positive, tau};
use crate::learn::{class_weights::ClassWeights, metrics::Metric};

/// Loss and step options.
#[derive(Clone, Debug, Args)]
pub struct LossArgs {
    /// Label smoothing (Szegedy et al., 2016): fraction of each label that is spread evenly over all classes, from 0 to less than 1; 0.1
    /// is common. HEAD..TAIL is label-aware smoothing (Zhong et al., 2021): the fraction of the class with the most and that with the fewest
    /// training images, such as 0.4..0.1. [default: 0]
    #[arg(long, value_name = "EPSILON|HEAD..TAIL", value_parser = Smoothing::parse)]
    pub label_smoothing: Option<Smoothing>,
    /// Class weights in the loss, from the server's training counts: inverse (of the number of images), power:GAMMA (the inverse to this power; 0.5
    /// is the square root), effective:BETA (of the effective number of samples, Cui et al., 2019; e.g. 0.999), or none. An alternative to balanced sampling: use with --balance natural.
    /// [default: none]
    #[arg(long, value_name = "KIND")]
    pub class_weights: Option<ClassWeights>,
    /// First epoch, from 1, that uses the class weights: deferred re-weighting (Cao et al., 2019), usually with effective:0.9999 after the learning
    /// rate has fallen. [default: 1]
    #[arg(long, value_name = "EPOCH", value_parser = at_least(1_u32))]
    pub class_weights_from: Option<u32>,
    /// Label-distribution-aware margin loss (LDAM, Cao et al., 2019), with --head cosine: the cosine of an image's own class counts as smaller by a
    /// margin, in proportion to n^(-1/4) of its n training images, and MARGIN for the rarest class. From 0 to 1; 0.5 without a value.
    /// [default: 0]
    #[arg(long, value_name = "MARGIN", num_args = 0..=1, require_equals = true, default_missing_value = "0.5", value_parser = margin)]
    pub ldam: Option<f32>,
    /// Logit-adjusted loss (Menon et al., 2021): adds TAU times the logarithm of each class's share of the stream, times its class weight, to the
    /// logits in the loss, so that rare classes are learnt as if all were equally frequent. 1 is the balanced softmax (Ren et al., 2020). Does
    /// nothing where classes are balanced already: use with --balance natural. From 0 to 10. [default: 0; with --weights or
    /// --model 1, unless --balance, --class-weights or --ldam is given]
    #[arg(long, value_name = "TAU", value_parser = tau::<f32>)]
    pub logit_adjust: Option<f32>,
    /// Focal loss gamma (Lin et al., 2017), from 0 to 100: scales the loss of an image whose class has probability p by (1 - p)^GAMMA; 2
    /// is common, 0 is plain cross-entropy. [default: 0]
    #[arg(long, value_name = "GAMMA", value_parser = gamma)]
    pub focal: Option<f32>,
    /// Clip gradients to this global L2 norm. [default: no clipping]
    #[arg(long, value_name = "NORM", value_parser = positive)]
    pub clip_norm: Option<f32>,
    /// Gradient accumulation: micro-batches per optimizer step, from 1 to 1024, for effective batches that do not fit in memory. Equal to
    /// a batch N times as large, except that batch norm uses per-micro-batch statistics. [default: 1]
    #[arg(long, value_name = "N", value_parser = within(1..=1024_u32))]
    pub accumulate: Option<u32>,
    /// Decay of an exponential moving average of the weights, from 0 to less than 1; the average is evaluated and exported instead of the
    /// last weights. 0.999 for thousands of steps, less for fewer. Warm-up: min(DECAY, (1 + step) / (10 + step)). [default: no EMA]
    #[arg(long, value_name = "DECAY", value_parser = fraction::<f32>)]
    pub ema: Option<f32>,
    /// Compute precision: f32; tf32 (matrix multiplications and convolutions with a 10-bit mantissa); bf16 or f16 (mixed precision:
    /// matrix multiplications, convolutions and safe operators in half precision). Weights, optimizer moments and statistics stay in f32;
    /// f16 uses dynamic loss scaling. All but f32 need --device cuda. [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub precision: Option<Precision>,
}

/// Label smoothing as typed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// ε of all classes, or of the one with the most training images.
    pub head: f32,
    /// ε of the class with the fewest, if it differs.
    pub tail: Option<f32>,
}

impl Smoothing {
    fn parse(text: &str) -> Result<Self, String> {
        let (head, tail) = match text.split_once("..") {
            Some((head, tail)) => (head, Some(tail)),
            None => (text, None),
        };
        let expected = |_| "expected a number from 0 to less than 1, or two as in 0.4..0.1".to_owned();
        Ok(Self {
            head: fraction(head).map_err(expected)?,
            tail: tail.map(fraction).transpose().map_err(expected)?,
        })
    }
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

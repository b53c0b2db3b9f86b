use clap::{Args, ValueEnum};

use super::Train;
use crate::learn::{compare::OwnArm, metrics::Metric};

/// `client tune`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client tune --minutes 20 --model lite0.onnx --size 128 --batch-size 16 --epochs 2     the best of several arms for an ImageNet network
  client tune --arms natural,natural+prior,oversample,adjusted --arch resnet18@16       of these, from random weights
  client tune --eval-metric recall:birds --arm focal='--balance natural --focal 2'      by the recall of a class, and with an arm of your own")]
pub struct Tune {
    /// Begin no training that would end later than this, including the final one; the first training always runs. Finished trainings
    /// in the same --out are used again.
    #[arg(long, value_name = "MINUTES", default_value_t = 30.0, value_parser = minutes)]
    pub minutes: f64,
    /// Arms to choose from, comma-separated, as for `client compare`. [default: adjusted, natural+prior, oversample, weighted and natural; with
    /// pretrained weights all but weighted, each with +probe and with +fine-tuned, and adjusted+cosine+probe]
    #[arg(long, value_name = "ARM,...", value_delimiter = ',')]
    pub arms: Vec<String>,
    /// An arm of your own, by flags of `client train`, as for `client compare`. May be repeated. Added to --arms, unless that names it.
    #[arg(long, value_name = "NAME=FLAGS")]
    pub arm: Vec<OwnArm>,
    /// Validation metric to choose by, as for --save-best; of equals, the lowest class-balanced log loss. [default: the lowest class-balanced log loss at
    /// each model's best temperature; of arms that it does not tell apart, adjusted before other corrections before natural]
    #[arg(long, value_name = "METRIC")]
    pub eval_metric: Option<Metric>,
    /// Cross-validation with five folds of the training and validation images: arm by arm, so that each is evaluated on all images or not at all.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Folds::Auto)]
    pub folds: Folds,
    /// Print the choice as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    /// How the arms are trained.
    #[command(flatten)]
    pub train: Train,
}

/// When to cross-validate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Folds {
    /// If the rarest class has fewer than ten validation images, and the server divides the images.
    Auto,
    /// Always.
    On,
    /// Never: train with up to three seeds, evaluated on the validation split.
    Off,
}

fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| *number > 0.0 && *number <= 1e5);
    number.ok_or_else(|| "expected a number above 0 and at most 100000".to_owned())
}

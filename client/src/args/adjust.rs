//! Adjustments of a trained model.

use clap::Args;

use super::PriorArgs;
use crate::learn::adjustments::{TemperatureChoice, ThresholdChoice};

/// Adjustments of a trained model.
#[derive(Clone, Debug, Args)]
pub struct AdjustArgs {
    /// Class frequencies.
    #[command(flatten)]
    pub prior: PriorArgs,
    /// Temperature by which the logits are divided, after --prior: a number, or fit, the one with the smallest cross entropy on the validation
    /// images (Guo et al., 2017). [default: no change]
    #[arg(long, value_name = "fit|T")]
    pub temperature: Option<TemperatureChoice>,
    /// Of two classes, predict the one with fewer training images from this probability on: a number, or the best on the validation images for
    /// balanced-accuracy, f1 (of that class) or cost:FP,FN (FP: the other class predicted as it; FN: missed). [default: that of the model, or 0.5]
    #[arg(long, value_name = "RULE|P")]
    pub threshold: Option<ThresholdChoice>,
}

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What of the head is fitted to features that are kept.
///
/// # Source
///
/// Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadFit {
    /// All of its parameters are trained.
    #[default]
    All,
    /// Learnable weight scaling: a factor for the logits of each class is trained, and multiplied into the last layer.
    Scales,
    /// τ-normalisation: the last layer loses its bias, and the weights of each class are divided by their norm to the power of τ, from 0 to 2 in steps
    /// of 0.1, which is chosen on the validation images.
    TauNorm,
}

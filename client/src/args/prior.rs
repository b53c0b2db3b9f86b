//! The class frequencies where a model is used.

use clap::Args;

use super::number::tau;
use crate::learn::prior::Prior;

/// The class frequencies where a model is used.
#[derive(Clone, Debug, Args)]
pub struct PriorArgs {
    /// Class frequencies where the model is used: uniform, train (those of the training images) or CLASS=P,... (the other classes share the
    /// rest). Adds ln(P) - ln(Q) to the logits, where Q is each class's share of what the model was trained on: stream, class weights and
    /// --logit-adjust. [default: no change]
    #[arg(long, value_name = "PRIOR")]
    pub prior: Option<Prior>,
    /// Factor of what --prior adds (Menon et al., 2021), from 0 to 10.
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "prior", value_parser = tau::<f64>)]
    pub tau: f64,
}

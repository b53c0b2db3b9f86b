//! Optimizer options.

use clap::Args;

use super::number::{fraction, non_negative};
use crate::learn::optimizer::OptimizerName;

/// Optimizer and weight decay.
#[derive(Clone, Debug, Args)]
pub struct OptimizerArgs {
    /// Optimizer: adamw, or sgd (stochastic gradient descent with momentum), as PyTorch's. [default: adamw]
    #[arg(long, value_name = "NAME")]
    pub optimizer: Option<OptimizerName>,
    /// Momentum of --optimizer sgd, from 0 to less than 1. If given, --schedule one-cycle does not change it. [default: 0.9]
    #[arg(long, value_name = "X", value_parser = fraction::<f64>)]
    pub momentum: Option<f64>,
    /// Nesterov's momentum, with --optimizer sgd.
    #[arg(long)]
    pub nesterov: bool,
    /// Decay rates of both moments of --optimizer adamw, each from 0 to less than 1. If given, --schedule one-cycle does not change the first.
    /// [default: 0.9,0.99]
    #[arg(long, value_name = "BETA1,BETA2", value_parser = betas)]
    pub betas: Option<[f64; 2]>,
    /// Weight decay, at least 0: decoupled from the gradient with adamw, added to it with sgd, as in PyTorch. [default: 0.01; with sgd 1e-4]
    #[arg(long, value_name = "X", value_parser = non_negative::<f32>)]
    pub weight_decay: Option<f32>,
    /// Weight decay of the weights and biases of norms, often 0. [default: --weight-decay]
    #[arg(long, value_name = "X", value_parser = non_negative::<f32>)]
    pub norm_weight_decay: Option<f32>,
    /// Weight decay of all biases, those of norms included, often 0. [default: --weight-decay]
    #[arg(long, value_name = "X", value_parser = non_negative::<f32>)]
    pub bias_weight_decay: Option<f32>,
}

fn betas(text: &str) -> Result<[f64; 2], String> {
    let both = text.split_once(',').and_then(|(first, second)| {
        let beta = |text: &str| fraction(text.trim()).ok();
        Some([beta(first)?, beta(second)?])
    });
    both.ok_or_else(|| "expected two comma-separated numbers from 0 to less than 1".to_owned())
}

//! Optimizers: they add nodes that compute the next parameters and state from parameters, gradients and state.
//!
//! # Layout
//! - [`Optimizer`]: what an optimizer is; [`AdamW`], [`Sgd`]: one file each.
//! - [`unscale`], [`are_finite`], [`clip_by_norm`]: applied to gradients before it. [`average`](average()): exponential moving averages.

mod adamw;
mod average;
mod clip;
mod optimizer;
mod scale;
mod sgd;

pub use adamw::AdamW;
pub use average::average;
pub use clip::{are_finite, clip_by_norm, sum_of_squares};
pub use optimizer::{GroupScalars, Optimizer, UpdateInputs, Updated};
pub use scale::unscale;
pub use sgd::Sgd;

//! Optimizers: they add nodes that compute the next parameters and moments from parameters, gradients and moments.
//!
//! # Layout
//! - [`AdamW`]: the update of parameters.
//! - [`unscale`], [`are_finite`], [`clip_by_norm`]: applied to gradients before it. [`average`](average()): exponential moving averages.

mod adamw;
mod average;
mod clip;
mod scale;

pub use adamw::{AdamW, GroupScalars, Moments, SharedScalars, UpdateInputs};
pub use average::average;
pub use clip::{are_finite, clip_by_norm, sum_of_squares};
pub use scale::unscale;

//! Optimizers as pure emitters: nodes that turn parameter, gradient and moments into the next ones.
//!
//! # Layout
//! - [`AdamW`]: how parameters move.
//! - [`unscale`], [`are_finite`], [`clip_by_norm`]: what happens to their gradients before. [`average`](average()): what is kept of them after.

mod adamw;
mod average;
mod clip;
mod scale;

pub use adamw::{AdamW, GroupScalars, Moments, SharedScalars, UpdateInputs};
pub use average::average;
pub use clip::{are_finite, clip_by_norm, sum_of_squares};
pub use scale::unscale;

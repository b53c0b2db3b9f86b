//! Optimizers as pure emitters: nodes that turn parameter, gradient and moments into the next ones.

mod adamw;

pub use adamw::{AdamW, Moments, Rate, Schedule, Trained};

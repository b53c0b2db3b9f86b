//! Reverse-mode automatic differentiation, graph to graph. It does not depend on layers or on the runtime.
//!
//! # Layout
//! - [`gradients`]: the algorithm, independent of operators; `backward`: the arguments of a rule.
//! - `rules`: the vector-Jacobian product of each operator.
//! - `liveness`: the values that need a gradient.
//! - `unbroadcast`: reduces gradients of broadcast operands.

mod backward;
mod error;
mod liveness;
mod reverse_mode;
mod rules;
mod unbroadcast;

pub use error::Error;
pub use reverse_mode::gradients;

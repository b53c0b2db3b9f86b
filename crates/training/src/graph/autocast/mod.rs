//! Half precision where it is safe: a forward graph rewritten, before gradients are taken.
//!
//! Products get operands that are rounded to half precision, and what follows them stays there for as long as nothing adds up many
//! numbers or has a range of its own. Parameters stay in single precision: each is rounded where it is read, so that autodiff's rule for
//! [`Op::Cast`](super::Op::Cast) brings its gradient back to single precision, and the optimizer moves what is not rounded.
//!
//! # Layout
//! - `policy`: what each operator makes of half precision. Read it first.
//! - `rewrite`: the walk over the graph.
//! - `casts`: afterwards, conversions that were made twice or cancel out.
//!
//! # Source
//! The lists of PyTorch's `torch.autocast` for CUDA.

mod casts;
mod policy;
mod rewrite;
#[cfg(test)]
mod tests;

use super::ElementType;

pub use self::casts::merge_casts;
pub use self::rewrite::{Autocast, autocast};

/// A float of sixteen bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE half precision: 11 bits, from 6e-8 to 65504.
    F16,
    /// bfloat16: 8 bits, with the range of single precision.
    Bf16,
}

impl Format {
    /// The type of its elements.
    #[must_use]
    pub fn element_type(self) -> ElementType {
        match self {
            Self::F16 => ElementType::F16,
            Self::Bf16 => ElementType::Bf16,
        }
    }

    /// How far rounding moves a number at most, relative to it: half of the distance from one to the next larger number.
    #[must_use]
    pub fn epsilon(self) -> f64 {
        match self {
            Self::F16 => 1.0 / 2048.0,
            Self::Bf16 => 1.0 / 256.0,
        }
    }
}

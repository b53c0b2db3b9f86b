//! Automatic mixed precision: rewrites a forward graph, before differentiation, so that part of it is computed in half precision.
//!
//! Convolutions and matrix multiplications get half-precision operands; the operators after them stay in half precision, up to reductions and
//! operators with a large range. Parameters stay in single precision and are cast where they are used, so autodiff's rule for
//! [`Op::Cast`](super::Op::Cast) returns gradients in single precision, and the optimizer updates the unrounded parameters.
//!
//! # Layout
//! - `policy`: the cast policy of each operator. Read it first.
//! - `rewrite`: the graph rewriting.
//! - `casts`: elimination of redundant casts afterwards.
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

/// A 16-bit floating-point format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE half precision: 11 bits of precision, 6e-8 to 65504.
    F16,
    /// bfloat16: 8 bits of precision, the range of single precision.
    Bf16,
}

impl Format {
    /// The element type.
    #[must_use]
    pub fn element_type(self) -> ElementType {
        match self {
            Self::F16 => ElementType::F16,
            Self::Bf16 => ElementType::Bf16,
        }
    }

    /// Unit roundoff: the largest relative error of rounding a number.
    #[must_use]
    pub fn epsilon(self) -> f64 {
        match self {
            Self::F16 => 1.0 / 2048.0,
            Self::Bf16 => 1.0 / 256.0,
        }
    }
}

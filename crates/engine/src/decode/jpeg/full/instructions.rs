//! Instruction sets for which the decoder is compiled.

use super::colour::Convert;
use super::idct::Idct;

/// An instruction set: implements all vectorised parts.
pub(super) trait Instructions: Idct + Convert {}

impl<T: Idct + Convert> Instructions for T {}

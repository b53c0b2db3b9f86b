//! What the decoder is made for: any machine, or one with vector instructions.

use super::colour::Convert;
use super::idct::Idct;

/// A way to do all that is done by vectors.
pub(super) trait Instructions: Idct + Convert {}

impl<T: Idct + Convert> Instructions for T {}

/// Those of any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

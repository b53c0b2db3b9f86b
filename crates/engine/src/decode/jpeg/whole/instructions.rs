//! What the decoder is made for: any machine, or one with vector instructions.

use super::colour::Convert;
use super::transform::Transform;

/// A way to do all that is done by vectors.
pub(super) trait Instructions: Transform + Convert {}

impl<T: Transform + Convert> Instructions for T {}

/// Those of any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

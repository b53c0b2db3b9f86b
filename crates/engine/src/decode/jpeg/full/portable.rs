/// The instruction set of portable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

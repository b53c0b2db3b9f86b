//! Decodes one scan of several to coefficients.
//!
//! # Source
//!
//! ITU-T T.81, annex G.1.2 and G.2.

mod block;
mod first;
mod read;
mod refine;

pub(super) use read::read;

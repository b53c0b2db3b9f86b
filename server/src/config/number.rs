//! Checks of numbers and sizes.

use std::num::NonZeroUsize;

use equibatch_engine::byte_size;

use super::error::{Error, invalid};

/// `None` is the default; clap accepts no 0.
pub(super) fn threads(typed: Option<usize>) -> Option<NonZeroUsize> {
    typed.and_then(NonZeroUsize::new)
}

pub(super) fn fraction(option: &'static str, value: f64) -> Result<f64, Error> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(option, &value, "expected a number from 0 to 1"))
    }
}

pub(super) fn bytes(option: &'static str, text: &str) -> Result<u64, Error> {
    byte_size::bytes(text).ok_or_else(|| invalid(option, &text, byte_size::SPELLING))
}

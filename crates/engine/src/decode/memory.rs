//! The memory of decoders, and its limits.

use std::sync::Arc;

use super::error::Error;
use crate::header::{DecodeLimits, Format};
use crate::memory::{Budget, Permit};

/// Bytes per pixel that a decoder of the `image` crate and the conversion to RGB need in addition to the decoder's output.
pub(super) fn extra_bytes_per_pixel(format: Format) -> u64 {
    match format {
        // `Header::bytes` of our decoder includes everything.
        Format::Jpeg => 0,
        // A frame and its canvas.
        Format::Gif | Format::WebP => 7,
        Format::Png | Format::Bmp => 3,
    }
}

/// Waits for `bytes` of a budget that decoders share, or files.
///
/// # Errors
///
/// [`Error::TooMuchMemory`] if the budget is smaller.
pub fn reserve_memory(memory: &Arc<Budget>, bytes: u64) -> Result<Permit, Error> {
    reserve_with(memory, bytes, 0)
}

/// [`reserve_memory`] for a decoder: a quarter more, because an allocator returns freed pages to the system with a delay, while the next
/// decoder takes others.
pub(super) fn reserve_for_decoder(memory: &Arc<Budget>, bytes: u64) -> Result<Permit, Error> {
    reserve_with(memory, bytes, bytes / 4)
}

/// Waits for `bytes`, and as far as the budget allows for `slack` more.
fn reserve_with(memory: &Arc<Budget>, bytes: u64, slack: u64) -> Result<Permit, Error> {
    let limit = memory.reserve();
    if bytes > limit {
        return Err(Error::TooMuchMemory { bytes, limit });
    }
    Ok(memory.take(bytes + slack))
}

/// Checks the size of an image and of its decoder's output against `limits`.
pub(super) fn check_output(
    limits: &DecodeLimits,
    (width, height): (u32, u32),
    bytes: u64,
) -> Result<(), Error> {
    limits.check_size(width, height)?;
    if bytes > limits.max_allocation {
        let limit = limits.max_allocation;
        return Err(Error::TooMuchMemory { bytes, limit });
    }
    Ok(())
}

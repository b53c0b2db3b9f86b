//! Format and size of an image file, read from its first bytes before any pixel is decoded.
//!
//! The format is detected from the content, not from the file name. [`DecodeLimits`] are checked against the header, so that a file that
//! declares too many pixels is rejected before memory is allocated.

mod catch_panic;
mod error;
mod format;
mod jpeg;
mod limits;
mod read;

pub(crate) use catch_panic::catch_panic;
pub use error::Error;
pub use format::Format;
pub(crate) use jpeg::Segment;
pub use limits::DecodeLimits;
pub use read::{Header, jpeg_channels, open, read};

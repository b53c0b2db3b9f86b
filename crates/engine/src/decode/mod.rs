//! Decodes image files to pixels.
//!
//! Supports JPEG, PNG, WebP, BMP and GIF, detected by content; animations give their first frame. All images become 8-bit RGB: greyscale is
//! replicated, alpha is dropped (not composited), 16 bits are rounded to 8, CMYK is converted without a colour profile. Colour profiles are
//! not applied. The EXIF orientation is applied unless [`DecodeOptions::orientation`] says otherwise. Large JPEGs are decoded at a quarter
//! or an eighth of their size if that suffices ([`decode_canonical`]).
//!
//! Any input gives an image or an [`Error`], never a panic, and decoding uses no more memory than [`DecodeLimits`] allow.

mod any_format;
mod canonical;
mod error;
mod file;
mod jpeg;
mod memory;
mod pixels;
mod resize;
mod scratch;
mod truncation;

pub use any_format::{DecodeOptions, decode, decode_canonical, decode_within};
pub use canonical::{canonical, canonical_short_side, canonical_size, resized};
pub use error::{Blame, Error};
pub use file::read;
pub use jpeg::Error as JpegError;
pub use memory::reserve_memory;

pub use crate::header::DecodeLimits;

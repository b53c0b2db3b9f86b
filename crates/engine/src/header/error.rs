use std::io;

use ::image::ImageError;

use super::Format;

/// Why a file is refused by its header.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Data: no bytes.
    #[error("the file is empty")]
    Empty,
    /// Data: a side is 0.
    #[error("the header says {width}x{height} pixels")]
    NoPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Data: the header cannot be parsed.
    #[error("cannot read the {} header", format.name())]
    Broken {
        /// By signature.
        format: Format,
        /// What the decoder says.
        #[source]
        source: ImageError,
    },
    /// Data: a JPEG ends, or its pixels begin, before its size is said.
    #[error("the JPEG header does not say the size of the image")]
    NoFrame,
    /// Data: the decoder panicked.
    #[error("the {} decoder panicked on the header: {message}", format.name())]
    Panicked {
        /// By signature.
        format: Format,
        /// The panic's message.
        message: String,
    },
    /// Limit: more bytes than allowed.
    #[error("the file has {bytes} bytes, {limit} are allowed")]
    FileTooLarge {
        /// Size of the file.
        bytes: u64,
        /// [`DecodeLimits::max_file_bytes`](super::DecodeLimits::max_file_bytes).
        limit: u64,
    },
    /// Limit: more pixels than allowed.
    #[error("the header says {width}x{height} pixels, {limit} are allowed")]
    TooManyPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// [`DecodeLimits::max_pixels`](super::DecodeLimits::max_pixels).
        limit: u64,
    },
    /// Unsupported: the content is none of the formats read.
    #[error("the content is not JPEG, PNG, WebP, BMP or GIF")]
    UnknownFormat,
    /// Io: the file cannot be read.
    #[error("cannot read the file")]
    Io(#[source] io::Error),
}

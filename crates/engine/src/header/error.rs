use std::io;

use ::image::ImageError;

use super::Format;

/// Why a file is rejected because of its header or size.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Data: the file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// Data: a side is 0.
    #[error("the header gives an image size of {width}x{height}: both sides must be at least 1")]
    NoPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Data: the header cannot be parsed.
    #[error("cannot read the {} header", format.name())]
    Broken {
        /// The format, by signature.
        format: Format,
        /// The decoder's error.
        #[source]
        source: ImageError,
    },
    /// Data: a JPEG ends, or its first scan begins, before a frame header.
    #[error("the JPEG file has no frame header, which holds the image size")]
    NoFrame,
    /// Data: the decoder panicked on the header.
    #[error("the {} decoder panicked on the header: {message}", format.name())]
    Panicked {
        /// The format, by signature.
        format: Format,
        /// The panic's message.
        message: String,
    },
    /// Limit: the file has more bytes than allowed.
    #[error("the file has {bytes} bytes: at most {limit} are allowed")]
    FileTooLarge {
        /// Size of the file.
        bytes: u64,
        /// [`DecodeLimits::max_file_bytes`](super::DecodeLimits::max_file_bytes).
        limit: u64,
    },
    /// Limit: the image has more pixels than allowed.
    #[error("the header gives an image size of {width}x{height}: at most {limit} pixels are allowed")]
    TooManyPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// [`DecodeLimits::max_pixels`](super::DecodeLimits::max_pixels).
        limit: u64,
    },
    /// Unsupported: the signature is that of no supported format.
    #[error("the content is not JPEG, PNG, WebP, BMP or GIF")]
    UnknownFormat,
    /// Io: the file cannot be read.
    #[error("cannot read the file")]
    Io(#[source] io::Error),
}

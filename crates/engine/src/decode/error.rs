use std::io;
use std::path::PathBuf;

use ::image::ImageError;

use super::JpegError;
use crate::header::{self, Format};

/// Whose fault it is that there is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The file is broken.
    Data,
    /// The file wants more than the operator allows.
    Limit,
    /// The file may be right, and is not understood.
    Unsupported,
    /// The file cannot be read, or is not the one that was scanned.
    Io,
}

/// Why a file gives no image. The text does not name the file: it goes to clients, who know samples and not the server's folders.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header is refused.
    #[error(transparent)]
    Header(#[from] header::Error),
    /// Data: the file ends too early.
    #[error("the {} file is truncated", format.name())]
    Truncated {
        /// By content.
        format: Format,
    },
    /// Data, limit or unsupported, as the source says: the decoder gives up.
    #[error("cannot decode the {} file", format.name())]
    Corrupt {
        /// By content.
        format: Format,
        /// What the decoder says.
        #[source]
        source: ImageError,
    },
    /// Data, limit or unsupported, as the source says: a JPEG is not decoded.
    #[error("cannot decode the JPEG file")]
    Jpeg(#[source] JpegError),
    /// Data: the decoder panicked.
    #[error("the {} decoder panicked: {message}", format.name())]
    Panicked {
        /// By content.
        format: Format,
        /// The panic's message.
        message: String,
    },
    /// Limit: the decoder's output is larger than allowed.
    #[error("decoding takes {bytes} bytes, {limit} are allowed")]
    TooMuchMemory {
        /// What the decoder's output takes.
        bytes: u64,
        /// [`DecodeLimits::max_allocation`](header::DecodeLimits::max_allocation).
        limit: u64,
    },
    /// Unsupported: samples that are not 8 or 16-bit integers.
    #[error("the {} file has pixels of type {colour:?}", format.name())]
    Colour {
        /// By content.
        format: Format,
        /// The decoder's name for it.
        colour: ::image::ColorType,
    },
    /// Io: the file cannot be read.
    #[error("cannot read the file")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// Io: the file was there when the data set was scanned.
    #[error("the file is gone since it was scanned")]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// Io: the file has another size than when the data set was scanned.
    #[error("the file has changed since it was scanned: {found} bytes, not {expected}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Bytes at the scan.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
    /// Io: the file has the size that it had when the data set was scanned, and was written to or replaced since.
    #[error("the file was written to since it was scanned")]
    Rewritten {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Header(header) => match header {
                header::Error::FileTooLarge { .. } | header::Error::TooManyPixels { .. } => Blame::Limit,
                header::Error::UnknownFormat => Blame::Unsupported,
                header::Error::Io(_) => Blame::Io,
                header::Error::Broken { source, .. } => blame_of(source),
                _ => Blame::Data,
            },
            Self::Corrupt { source, .. } => blame_of(source),
            Self::Jpeg(error) => match error {
                JpegError::Broken(_) | JpegError::Truncated => Blame::Data,
                JpegError::Unsupported(_) => Blame::Unsupported,
                JpegError::TooManyScans => Blame::Limit,
            },
            Self::Truncated { .. } | Self::Panicked { .. } => Blame::Data,
            Self::TooMuchMemory { .. } => Blame::Limit,
            Self::Colour { .. } => Blame::Unsupported,
            Self::Io { .. } | Self::Vanished { .. } | Self::Changed { .. } | Self::Rewritten { .. } => {
                Blame::Io
            }
        }
    }
}

impl From<JpegError> for Error {
    fn from(error: JpegError) -> Self {
        match error {
            JpegError::Truncated => Self::Truncated { format: Format::Jpeg },
            error => Self::Jpeg(error),
        }
    }
}

fn blame_of(error: &ImageError) -> Blame {
    match error {
        ImageError::Limits(_) => Blame::Limit,
        ImageError::Unsupported(_) => Blame::Unsupported,
        _ => Blame::Data,
    }
}

use std::io;
use std::path::PathBuf;

use ::image::ImageError;

use super::JpegError;
use crate::header::{self, Format};

/// The class of a decoding error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The file is corrupt.
    Data,
    /// The file exceeds a limit set by the operator.
    Limit,
    /// The file may be valid, but its format or a feature is not supported.
    Unsupported,
    /// The file cannot be read, or changed since it was scanned.
    Io,
}

/// Why a file cannot be decoded. Messages do not contain the path, because they are sent to clients.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header is invalid or exceeds a limit.
    #[error(transparent)]
    Header(#[from] header::Error),
    /// Data: the file is truncated.
    #[error("the {} file is truncated", format.name())]
    Truncated {
        /// The format, by signature.
        format: Format,
    },
    /// Data, limit or unsupported, depending on the source: the decoder failed.
    #[error("cannot decode the {} file", format.name())]
    Corrupt {
        /// The format, by signature.
        format: Format,
        /// The decoder's error.
        #[source]
        source: ImageError,
    },
    /// Data, limit or unsupported, depending on the source: the JPEG decoder failed.
    #[error("cannot decode the JPEG file")]
    Jpeg(#[source] JpegError),
    /// Data: the decoder panicked.
    #[error("the {} decoder panicked: {message}", format.name())]
    Panicked {
        /// The format, by signature.
        format: Format,
        /// The panic's message.
        message: String,
    },
    /// Limit: decoding needs more memory than allowed.
    #[error("decoding needs {bytes} bytes of memory: at most {limit} are allowed")]
    TooMuchMemory {
        /// Memory needed, in bytes.
        bytes: u64,
        /// [`DecodeLimits::max_allocation`](header::DecodeLimits::max_allocation), or the memory budget of all decoders.
        limit: u64,
    },
    /// Unsupported: samples that are not 8- or 16-bit integers.
    #[error("the {} file has pixels of the unsupported type {colour:?}: 8- and 16-bit integers are supported", format.name())]
    Colour {
        /// The format, by signature.
        format: Format,
        /// The decoder's pixel type.
        colour: ::image::ColorType,
    },
    /// Io: the file cannot be read.
    #[error("cannot read the file")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Io: the file was deleted after the data set was scanned.
    #[error("the file was deleted after the dataset was scanned")]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// Io: the size of the file changed after the data set was scanned.
    #[error("the file changed after the dataset was scanned: it has {found} bytes, not {expected}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Bytes at the scan.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
    /// Io: the file was modified or replaced after the data set was scanned, with the same size.
    #[error("the file was modified after the dataset was scanned")]
    Rewritten {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// The class of the error.
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

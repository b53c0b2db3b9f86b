use super::MAX_SCANS;

/// Why a JPEG cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Data: the file violates the standard.
    #[error("invalid JPEG: {0}")]
    Broken(&'static str),
    /// Data: the file ends before its end-of-image marker.
    #[error("the file ends before its end-of-image marker")]
    Truncated,
    /// Unsupported: a JPEG process or parameter that the decoder does not implement.
    #[error("{0} are not supported")]
    Unsupported(&'static str),
    /// Limit: each scan can traverse all blocks of the image, however few bytes it has.
    #[error("the file has more than {MAX_SCANS} scans")]
    TooManyScans,
}

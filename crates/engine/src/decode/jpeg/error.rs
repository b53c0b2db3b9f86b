use super::MAX_SCANS;

/// Why a JPEG is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Data: the file is not what the standard says.
    #[error("the file is broken: {0}")]
    Broken(&'static str),
    /// Data: the file ends before its end-of-image marker.
    #[error("the file ends before its end-of-image marker")]
    Truncated,
    /// Unsupported: a kind of JPEG that is not decoded here.
    #[error("{0} are not supported")]
    Unsupported(&'static str),
    /// Limit: each scan costs time that does not depend on its length.
    #[error("the file has more than {MAX_SCANS} scans")]
    TooManyScans,
}

use std::{io, path::PathBuf};

use super::{HubFile, load_state_dict::Mismatch};

/// Error of reading or loading weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read the weights {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A file is not a valid weights file.
    #[error("cannot use the weights {origin}: {reason}")]
    Content {
        /// The file, as given by `--weights`.
        origin: String,
        /// Cause.
        reason: String,
    },
    /// The tensors belong to another network.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The hub answered 404.
    #[error("cannot find {file}: the hub has no such repository, revision or file `{}`", file.file)]
    NotFound {
        /// The requested file.
        file: HubFile,
    },
    /// The hub answered 401 or 403.
    #[error(
        "cannot download {file}: the hub answered {status}; the repository does not exist, or needs a token in HF_TOKEN"
    )]
    Denied {
        /// The requested file.
        file: HubFile,
        /// HTTP status code.
        status: u16,
    },
    /// The hub cannot be reached, and the file is not in the cache.
    #[error(
        "cannot download {file}: {reason}; without a network, use a local file (--weights FILE) or the cache (--offline)"
    )]
    Unreachable {
        /// The requested file.
        file: HubFile,
        /// Cause.
        reason: String,
    },
    /// `--offline`, and the file is not in the cache.
    #[error("cannot read {file}: it is not in the cache {}, and --offline forbids downloading it", cache.display())]
    Offline {
        /// The requested file.
        file: HubFile,
        /// The cache directory.
        cache: PathBuf,
    },
    /// The SHA-256 of the file differs from the one that the hub announced.
    #[error(
        "cannot use {file}: its SHA-256 is {found}, expected {expected}; the damaged file was removed from the cache, try again"
    )]
    Checksum {
        /// The requested file.
        file: HubFile,
        /// SHA-256 in hexadecimal.
        expected: String,
        /// SHA-256 in hexadecimal.
        found: String,
    },
}

use std::{io, path::PathBuf};

use super::{HubFile, load_state_dict::Mismatch};

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read the weights {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds no tensors.
    #[error("cannot use the weights {origin}: {reason}")]
    Content {
        /// The file, as it was asked for.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors belong to another network.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The hub has no such file.
    #[error("cannot find {file}: the hub has no repository, revision or file `{}` of that name", file.file)]
    NotFound {
        /// What was asked for.
        file: HubFile,
    },
    /// The hub does not give the file.
    #[error(
        "cannot get {file}: the hub says {status}; there is no such repository, or it needs a token in HF_TOKEN"
    )]
    Denied {
        /// What was asked for.
        file: HubFile,
        /// HTTP's number.
        status: u16,
    },
    /// The hub cannot be asked.
    #[error(
        "cannot get {file}: {reason}; without a network, use a file (--weights FILE) or what was fetched before (--offline)"
    )]
    Unreachable {
        /// What was asked for.
        file: HubFile,
        /// What happened.
        reason: String,
    },
    /// The file was never fetched, and may not be now.
    #[error("cannot get {file}: it is not in {}, and --offline forbids to fetch it", cache.display())]
    Offline {
        /// What was asked for.
        file: HubFile,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The bytes are not those that the hub announced.
    #[error(
        "cannot use {file}: it was damaged on its way or in the cache, and is removed from there; try again (its SHA-256 is {found}, not \
         {expected})"
    )]
    Checksum {
        /// What was asked for.
        file: HubFile,
        /// In hexadecimal.
        expected: String,
        /// In hexadecimal.
        found: String,
    },
}

//! Division of the memory among its users.

use std::sync::Arc;

use super::Budget;

/// Maximum for decoders, in bytes: an image of 100 million pixels of 16-bit colour with transparency.
const MOST_FOR_DECODERS: u64 = 1280 << 20;
/// Maximum for files, in bytes: the largest file that a scan accepts.
const MOST_FOR_FILES: u64 = 256 << 20;
/// Maximum for requests, in bytes.
const MOST_FOR_REQUESTS: u64 = 32 << 20;

/// The memory that the caches leave, divided among its users. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Bytes for incomplete requests: 1/32 of the memory, at most 32 MiB.
    pub requests: u64,
    /// For files that are being read or decoded: 1/16, at most 256 MiB. Separate from the rest to avoid deadlock: the holder of a file waits for
    /// memory to decode it, so the holders of that memory must not wait for memory to read a file.
    pub files: Arc<Budget>,
    /// For the indices of datasets, batches, and decoders with their images. A third, at most 1.25 GiB, is reserved for decoders.
    pub rest: Arc<Budget>,
}

impl Parts {
    /// Divides `bytes` bytes.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let requests = (bytes / 32).min(MOST_FOR_REQUESTS);
        let files = (bytes / 16).min(MOST_FOR_FILES);
        let decoders = (bytes / 3).min(MOST_FOR_DECODERS);
        Self {
            requests,
            files: Budget::new(files, files),
            rest: Budget::new(bytes - requests - files, decoders),
        }
    }

    /// Bytes in use. Those for requests always count.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.requests + self.files.used() + self.rest.used()
    }
}

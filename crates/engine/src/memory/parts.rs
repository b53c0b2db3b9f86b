//! How the memory of a server is divided.

use std::sync::Arc;

use super::Budget;

/// For decoders, at most: an image of 100 million pixels of 16-bit colour with transparency.
const MOST_FOR_DECODERS: u64 = 1280 << 20;
/// For files, at most: the largest that a scan takes.
const MOST_FOR_FILES: u64 = 256 << 20;
/// For requests, at most.
const MOST_FOR_REQUESTS: u64 = 32 << 20;

/// What the caches leave of the memory, divided among all others who take some. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Bytes for requests that are not complete: a 32nd, 32 MiB at most.
    pub requests: u64,
    /// For files that are read and decoded: a 16th, 256 MiB at most. Not a part of the rest: who has a file waits for memory to decode it, so
    /// nobody who has that may wait for memory to read a file.
    pub files: Arc<Budget>,
    /// For the index of each dataset, batches, and decoders with their images. A third, 1.25 GiB at most, is kept for decoders.
    pub rest: Arc<Budget>,
}

impl Parts {
    /// The parts of `bytes` bytes.
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

    /// Bytes that are taken now. Those for requests are always.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.requests + self.files.used() + self.rest.used()
    }
}

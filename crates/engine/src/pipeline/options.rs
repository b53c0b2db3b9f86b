//! Configuration of the engine, and limits on requests.

use std::num::NonZeroUsize;

use crate::tensor::TensorSpec;

/// Configuration of the engine. Nothing here changes a byte of a batch.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Maximum bytes of caches, indices of datasets, requests, files, batches and decoders together.
    pub memory_bytes: u64,
    /// Maximum bytes of cached decoded images.
    pub cache_bytes: u64,
    /// Maximum bytes of cached encoded files, for images that are not cached decoded.
    pub encoded_cache_bytes: u64,
    /// Maximum bytes of batches, unread or being sent, that a stream holds. One batch is always allowed if there is memory for it.
    pub stream_bytes: u64,
    /// Maximum number of batches, unread or being sent, that a stream holds. More than a few hide no further jitter and take memory.
    pub stream_batches: NonZeroUsize,
    /// Fraction of a split's images that may be broken before its streams fail, from 0 to 1.
    pub max_broken: f64,
    /// Limits on requests.
    pub limits: Limits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            // The program asks the system.
            memory_bytes: u64::MAX,
            // Many times the reference experiment, and acceptable on a small machine; the program asks the system.
            cache_bytes: 1 << 30,
            // The system's page cache serves local files as well.
            encoded_cache_bytes: 0,
            // Six batches of 64 float images at 224.
            stream_bytes: 256 << 20,
            // One that is being sent, and four behind it.
            stream_batches: NonZeroUsize::new(5).expect("5 is not zero"),
            max_broken: 0.1,
            limits: Limits::default(),
        }
    }
}

/// Limits on requests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum bytes of a batch's tensor.
    pub batch_bytes: u64,
    /// Maximum images of a global batch.
    pub batch_size: u32,
    /// Maximum shards of a global batch.
    pub world: u32,
    /// Maximum height and width of an image, in pixels.
    pub image_size: u32,
    /// Maximum epochs of a stream.
    pub epochs: u32,
    /// Maximum number of open streams.
    pub open_streams: usize,
    /// Maximum weight of a stream. The service grants at most 1 to a client whose token does not allow more.
    pub weight: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // gRPC's length prefix ends at 4 GiB; the other limits are beyond any known use.
        Self {
            batch_bytes: 1 << 30,
            batch_size: 1 << 16,
            world: 1 << 12,
            image_size: TensorSpec::MAX_SIZE,
            epochs: 1_000_000,
            open_streams: 64,
            // At a hundred times the weight of another stream, a stream has nearly all of the workers' time.
            weight: 100,
        }
    }
}

//! The operator's side of a stream: how it is made, and what may be asked for.

use std::num::NonZeroUsize;

use crate::tensor::TensorSpec;

/// How streams are made: the operator's side. Nothing here changes a byte of a batch.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Bytes that the caches, indices of datasets, requests, files, batches and decoders take together, at most.
    pub memory_bytes: u64,
    /// Bytes of decoded images kept, at most.
    pub cache_bytes: u64,
    /// Bytes of files kept as they are, at most, of images that are not kept decoded.
    pub encoded_cache_bytes: u64,
    /// Bytes of batches that a stream may hold, unread or being sent. One batch is always allowed, where there is memory for it.
    pub stream_bytes: u64,
    /// Batches that a stream may hold, unread or being sent: more than a few hide no jitter and take memory.
    pub stream_batches: NonZeroUsize,
    /// Part of a split's images that may be broken before its streams fail, from 0 to 1.
    pub max_broken: f64,
    /// What a request may ask for.
    pub limits: Limits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            // The program asks the system.
            memory_bytes: u64::MAX,
            // Room for the reference experiment many times over, and no surprise on a small machine; the program asks the system.
            cache_bytes: 1 << 30,
            // The system's page cache does the same for files of this machine.
            encoded_cache_bytes: 0,
            // Six batches of 64 float images at 224.
            stream_bytes: 256 << 20,
            // One that is sent, and four behind it.
            stream_batches: NonZeroUsize::new(5).expect("5 is not zero"),
            max_broken: 0.1,
            limits: Limits::default(),
        }
    }
}

/// What a request may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a batch's tensor.
    pub batch_bytes: u64,
    /// Images of a global batch.
    pub batch_size: u32,
    /// Shards of a global batch.
    pub world: u32,
    /// Height and width of an image sent.
    pub image_size: u32,
    /// Epochs of a stream.
    pub epochs: u32,
    /// Streams open at a time.
    pub open_streams: usize,
    /// Weight of a stream. The service grants no more than 1 to a client whose token does not say more.
    pub weight: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // gRPC's length prefix ends at 4 GiB; the rest is beyond any use seen.
        Self {
            batch_bytes: 1 << 30,
            batch_size: 1 << 16,
            world: 1 << 12,
            image_size: TensorSpec::MAX_SIZE,
            epochs: 1_000_000,
            open_streams: 64,
            // A stream that weighs a hundred times as much as another one has the workers almost to itself.
            weight: 100,
        }
    }
}

//! Buffers of batches: written by several threads, sent without a copy, reused, and optionally shared with another process.
//!
//! # Layout
//!
//! - [`Pool`]: [buffers](PooledBuffer) of one size that return to it when the last reference to their bytes is dropped.
//! - [`Chunk`]: a part of a buffer that one writer owns.
//! - [`Budget`]: bytes that batches and decoders share; [`Parts`]: how the memory is divided; [`available()`]: how much there is.
//! - [`Slot`]: memory of a caller, for a pool of such.
//! - [`SharedMapping`]: the read-only mapping of a shared pool in another process.
//! - `mapping`: the memory mappings behind all of that; with `chunk`, `slot` and `shared_mapping` the only unsafe code here.
//!
//! # Sharing
//!
//! [`Pool::shared`] takes all its buffers from one anonymous file in memory (memfd). A process that gets its descriptor can map and read it for
//! any time: the memory is freed with the last mapping, however the processes end. The file is sealed. It cannot shrink, so that reads never
//! fault; and once the pool has mapped it, it cannot be written in any other way, so that no other process can change its contents.

mod available;
mod budget;
mod chunk;
mod mapping;
mod parts;
mod pool;
mod shared_mapping;
mod slot;

pub use self::{
    available::available,
    budget::{Budget, Permit},
    chunk::Chunk,
    parts::Parts,
    pool::{BufferTail, Pool, PooledBuffer, Shared},
    shared_mapping::SharedMapping,
    slot::Slot,
};

/// Alignment of the first byte of a buffer: a cache line, and the widest vector register.
pub const ALIGNMENT: usize = 64;

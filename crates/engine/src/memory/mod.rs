//! Memory that batches lie in: written by many threads at once, sent without a copy, used again, and perhaps seen by another process.
//!
//! # Layout
//!
//! - [`Pool`]: buffers of one size, on [`PooledBuffer`] to whoever fills them, back when the last reference to their bytes is gone.
//! - [`Chunk`]: a part of a buffer that one writer owns.
//! - [`Budget`]: bytes that batches and decoders share; [`Parts`]: all such bytes; [`available()`]: how many there are.
//! - [`SharedMapping`]: what another process sees of the memory that a pool shares with it.
//! - `mapping`: the mappings below all of that, and with the other two the only unsafe code here.
//!
//! # Sharing
//!
//! [`Pool::shared`] takes all its buffers from one file that exists in memory only and has no name. Whoever gets its descriptor can map and
//! read it, for as long as it likes: the memory goes with the last mapping, however the processes end. The file is sealed. It cannot shrink,
//! so that reading can never fail; and once the pool has mapped it, nobody can write to it by another way, so that nothing which another
//! process does can change what is in it.

mod available;
mod budget;
mod chunk;
mod mapping;
mod parts;
mod pool;
mod shared_mapping;

pub use self::{
    available::available,
    budget::{Budget, Permit},
    chunk::Chunk,
    mapping::SharedMapping,
    parts::Parts,
    pool::{BufferTail, Pool, PooledBuffer, Shared},
};

/// Alignment of the first byte of a buffer: a cache line, and the widest vector of any CPU in use.
pub const ALIGNMENT: usize = 64;

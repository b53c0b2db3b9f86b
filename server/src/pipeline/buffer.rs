//! Batch buffers: written by many threads at once, sent without a copy, used again.
//!
//! A buffer is one allocation cut into a chunk per image. Each chunk is *owned* by whoever writes that image, so that two writers
//! cannot meet by construction; when all are back they are joined into the whole again, without moving a byte. [`BytesMut`] does the
//! bookkeeping, so there is no unsafe code here.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// Alignment of the first byte of a batch: a cache line, and the widest vector of any CPU in use.
pub const ALIGNMENT: usize = 64;

/// Buffers of one size that return here when the last reference to their bytes is dropped.
///
/// Belongs to one stream: its memory goes when the stream and its last batch go.
#[derive(Debug)]
pub(super) struct BufferPool {
    bytes: usize,
    free: Mutex<Vec<BytesMut>>,
}

impl BufferPool {
    /// A pool of buffers of `bytes` bytes. Nothing is allocated before it is needed.
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            free: Mutex::default(),
        })
    }

    /// A buffer cut into `count` chunks of `chunk` bytes each.
    ///
    /// # Panics
    ///
    /// Where the chunks are larger than the pool's buffers.
    pub(super) fn chunks(self: &Arc<Self>, count: usize, chunk: usize) -> (Vec<BytesMut>, Remainder) {
        let mut rest = self.lock().pop().unwrap_or_else(|| allocate(self.bytes));
        let chunks = (0..count).map(|_| rest.split_to(chunk)).collect();
        (
            chunks,
            Remainder {
                rest,
                pool: Arc::clone(self),
            },
        )
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<BytesMut>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn idle(&self) -> usize {
        self.lock().len()
    }
}

/// What is left of a buffer behind its chunks; joins them again.
#[derive(Debug)]
pub(super) struct Remainder {
    rest: BytesMut,
    pool: Arc<BufferPool>,
}

impl Remainder {
    /// The bytes of all chunks of this buffer, which must come in their order.
    pub(super) fn join(self, chunks: impl IntoIterator<Item = BytesMut>) -> Bytes {
        let mut chunks = chunks.into_iter();
        let mut whole = chunks.next().unwrap_or_default();
        for chunk in chunks {
            whole.unsplit(chunk);
        }
        let length = whole.len();
        whole.unsplit(self.rest);
        Bytes::from_owner(Pooled {
            buffer: whole,
            pool: self.pool,
        })
        .slice(..length)
    }
}

/// A whole buffer on loan.
struct Pooled {
    buffer: BytesMut,
    pool: Arc<BufferPool>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.pool.lock().push(buffer);
    }
}

/// `bytes` zeros, the first of them aligned. Large blocks come straight from the kernel, so that no page is touched before an image is
/// written to it.
fn allocate(bytes: usize) -> BytesMut {
    let mut buffer = BytesMut::zeroed(bytes + ALIGNMENT);
    let offset = buffer.as_ptr().align_offset(ALIGNMENT);
    drop(buffer.split_to(offset));
    buffer.truncate(bytes);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(chunks: &mut [BytesMut]) {
        for (index, chunk) in chunks.iter_mut().enumerate() {
            chunk.fill(index as u8 + 1);
        }
    }

    #[test]
    fn chunks_join_in_place_and_the_buffer_is_used_again() {
        let pool = BufferPool::new(4 * 100);
        let (mut chunks, remainder) = pool.chunks(4, 100);
        let address = chunks[0].as_ptr();
        fill(&mut chunks);
        let bytes = remainder.join(chunks);
        assert_eq!(bytes.as_ptr(), address, "joined without a copy");
        assert_eq!(address.align_offset(ALIGNMENT), 0);
        assert_eq!(bytes.len(), 400);
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(at, &byte)| byte as usize == at / 100 + 1)
        );
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_eq!(pool.idle(), 0, "a slice keeps the buffer");
        drop(part);
        assert_eq!(pool.idle(), 1);
        let (chunks, _remainder) = pool.chunks(4, 100);
        assert_eq!(chunks[0].as_ptr(), address, "the same memory");
    }

    #[test]
    fn a_short_batch_takes_the_front_of_a_buffer() {
        let pool = BufferPool::new(4 * 100);
        let (mut chunks, remainder) = pool.chunks(2, 100);
        fill(&mut chunks);
        let bytes = remainder.join(chunks);
        assert_eq!(bytes.len(), 200);
        drop(bytes);
        let (chunks, remainder) = pool.chunks(4, 100);
        assert_eq!(remainder.join(chunks).len(), 400, "and gives all of it back");
    }

    #[test]
    fn an_empty_batch_has_no_bytes() {
        let pool = BufferPool::new(400);
        let (chunks, remainder) = pool.chunks(0, 100);
        assert_eq!(remainder.join(chunks).len(), 0);
    }
}

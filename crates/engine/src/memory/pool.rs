//! A pool of buffers of one size.

use std::{
    io,
    ops::{Deref, DerefMut},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

use super::{Chunk, Slot, mapping::Mapping};

/// A pool of buffers of one size, which return to it when the last reference to their bytes is dropped.
///
/// Belongs to one stream: its memory is freed with the stream and its last batch.
#[derive(Debug)]
pub struct Pool {
    /// Bytes per buffer; buffers of a shared pool are rounded up to whole pages.
    bytes: usize,
    /// Whether it cannot allocate further buffers.
    is_bounded: bool,
    /// Maximum number of free buffers that are kept; others are unmapped.
    kept: usize,
    /// Number of buffers, free or in use.
    made: AtomicUsize,
    free: Mutex<Vec<Chunk>>,
}

/// A pool whose buffers another process can map.
#[derive(Debug)]
pub struct Shared {
    /// The pool. All its buffers exist from the start.
    pub pool: Arc<Pool>,
    /// The descriptor of its memory.
    pub file: OwnedFd,
    /// Bytes from the start of one buffer to that of the next.
    pub stride: usize,
}

impl Pool {
    /// An unbounded pool of buffers of `bytes` bytes, which are allocated when they are needed.
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        Self::keeping(usize::MAX, bytes)
    }

    /// As [`Pool::new`], but keeps at most `count` buffers: while there are more, returned ones are unmapped.
    #[must_use]
    pub fn keeping(count: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            is_bounded: false,
            kept: count,
            made: AtomicUsize::new(0),
            free: Mutex::default(),
        })
    }

    /// A pool of exactly `count` buffers of `bytes` bytes, in memory that another process can map. Each starts at a page boundary.
    ///
    /// # Errors
    ///
    /// If the system has no sealed shared memory, or not enough.
    pub fn shared(count: usize, bytes: usize) -> io::Result<Shared> {
        let stride = bytes.max(1).next_multiple_of(rustix::param::page_size());
        let total = stride.checked_mul(count).ok_or(io::ErrorKind::OutOfMemory)?;
        let (mapping, file) = Mapping::shared(total)?;
        let mut rest = Chunk::whole(mapping);
        // The first buffer is used first, so that a reader that keeps up touches as little memory as possible.
        let mut free: Vec<Chunk> = (0..count).map(|_| rest.split_to(stride)).collect();
        free.reverse();
        let pool = Arc::new(Self {
            bytes,
            is_bounded: true,
            kept: count,
            made: AtomicUsize::new(count),
            free: Mutex::new(free),
        });
        Ok(Shared { pool, file, stride })
    }

    /// A pool of slots for buffers of `bytes` bytes, which has none until they are [supplied](Pool::supply). A slot is used once: it is given back
    /// to its owner when the last reference to its bytes is dropped.
    #[must_use]
    pub fn of_slots(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            is_bounded: true,
            kept: 0,
            made: AtomicUsize::new(0),
            free: Mutex::default(),
        })
    }

    /// Adds a slot.
    ///
    /// # Panics
    ///
    /// If it is smaller than a buffer.
    pub fn supply(&self, slot: Slot) {
        assert!(
            slot.bytes() >= self.bytes,
            "{} of {} bytes",
            slot.bytes(),
            self.bytes
        );
        self.made.fetch_add(1, Ordering::Relaxed);
        self.lock().push(slot.0);
    }

    /// Bytes of a buffer.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.bytes
    }

    /// Number of buffers, free or in use.
    #[must_use]
    pub fn buffers(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Whether [`Pool::take`] would return a buffer now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.is_bounded || !self.lock().is_empty()
    }

    /// A buffer, which holds what was last written to it; `None` if the pool is bounded and no buffer is free.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<PooledBuffer> {
        let free = self.lock().pop();
        let buffer = match free {
            Some(buffer) => buffer,
            None if self.is_bounded => return None,
            None => {
                self.made.fetch_add(1, Ordering::Relaxed);
                Chunk::whole(Mapping::private(self.bytes))
            }
        };
        Some(PooledBuffer {
            buffer: Some(buffer),
            pool: Arc::clone(self),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Chunk>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer of a [`Pool`]; returns to it when dropped.
#[derive(Debug)]
pub struct PooledBuffer {
    /// `None` only while it is split or returned.
    buffer: Option<Chunk>,
    pool: Arc<Pool>,
}

impl PooledBuffer {
    /// Offset in bytes from the start of the pool's memory, if that is shared.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.chunk().offset()
    }

    /// The first `length` bytes; when the last reference to them is dropped, the buffer returns to its pool.
    ///
    /// # Panics
    ///
    /// If the buffer is smaller.
    #[must_use]
    pub fn freeze(self, length: usize) -> Bytes {
        assert!(length <= self.len(), "{length} of {} bytes", self.len());
        Bytes::from_owner(self).slice(..length)
    }

    /// Splits the buffer into `count` chunks of `chunk` bytes each, and the rest.
    ///
    /// # Panics
    ///
    /// If the buffer is smaller.
    #[must_use]
    pub fn split(mut self, count: usize, chunk: usize) -> (Vec<Chunk>, BufferTail) {
        let mut rest = self
            .buffer
            .take()
            .expect("the buffer is there until it is split or dropped");
        let chunks = (0..count).map(|_| rest.split_to(chunk)).collect();
        let pool = Arc::clone(&self.pool);
        (chunks, BufferTail { rest, pool })
    }

    fn chunk(&self) -> &Chunk {
        self.buffer
            .as_ref()
            .expect("the buffer is there until it is split or dropped")
    }
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.chunk()
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.buffer
            .as_mut()
            .expect("the buffer is there until it is split or dropped")
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            let surplus = |made: usize| (made > self.pool.kept).then(|| made - 1);
            let made = &self.pool.made;
            if made
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, surplus)
                .is_err()
            {
                self.pool.lock().push(buffer);
            }
        }
    }
}

/// The rest of a split buffer, by which its chunks are joined again.
///
/// If the chunks are dropped instead, the buffer does not return to its pool.
#[derive(Debug)]
pub struct BufferTail {
    rest: Chunk,
    pool: Arc<Pool>,
}

impl BufferTail {
    /// Joins the chunks, in order, to the whole buffer.
    ///
    /// # Panics
    ///
    /// If a chunk is missing or out of order.
    #[must_use]
    pub fn join(self, chunks: impl IntoIterator<Item = Chunk>) -> PooledBuffer {
        let chunks = chunks.into_iter().chain([self.rest]);
        let buffer = chunks.reduce(|mut front, next| {
            front.unsplit(next);
            front
        });
        PooledBuffer {
            buffer,
            pool: self.pool,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{ALIGNMENT, SharedMapping};

    fn fill(chunks: &mut [Chunk]) {
        for (index, chunk) in chunks.iter_mut().enumerate() {
            chunk.fill(index as u8 + 1);
        }
    }

    #[test]
    fn chunks_join_in_place_and_the_buffer_is_used_again() {
        let pool = Pool::new(4 * 100);
        let (mut chunks, remainder) = pool.take().expect("a buffer").split(4, 100);
        let address = chunks[0].as_ptr();
        fill(&mut chunks);
        let bytes = remainder.join(chunks).freeze(400);
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
        assert_eq!(pool.lock().len(), 0, "a slice keeps the buffer");
        drop(part);
        assert_eq!(pool.lock().len(), 1);
        assert_eq!(
            pool.take().expect("a buffer").as_ptr(),
            address,
            "the same memory"
        );
    }

    #[test]
    fn a_short_batch_takes_the_front_of_a_buffer() {
        let pool = Pool::new(4 * 100);
        let (mut chunks, remainder) = pool.take().expect("a buffer").split(2, 100);
        fill(&mut chunks);
        let bytes = remainder.join(chunks).freeze(200);
        assert_eq!(bytes.len(), 200);
        drop(bytes);
        assert_eq!(
            pool.take().expect("a buffer").len(),
            400,
            "and gives all of it back"
        );
    }

    #[test]
    fn an_empty_batch_has_no_bytes() {
        let (chunks, remainder) = Pool::new(400).take().expect("a buffer").split(0, 100);
        assert_eq!(remainder.join(chunks).freeze(0).len(), 0);
        assert_eq!(Pool::new(0).take().expect("a buffer").len(), 0);
    }

    #[test]
    fn buffers_beyond_the_number_kept_are_unmapped() {
        let pool = Pool::keeping(2, 100);
        let buffers: Vec<PooledBuffer> = (0..5).map(|_| pool.take().expect("no bound")).collect();
        drop(buffers);
        assert_eq!(pool.lock().len(), 2);
    }

    #[test]
    #[allow(unsafe_code, reason = "memory of a caller")]
    fn a_slot_is_written_once_and_given_back() {
        let pool = Pool::of_slots(100);
        assert!(!pool.has_room() && pool.take().is_none());
        let mut memory = vec![1_u8; 120].into_boxed_slice();
        let (start, owner) = (std::ptr::NonNull::from(&mut memory[0]), Arc::new(()));
        // SAFETY: `memory` lives longer than the pool's use of it, and nothing else refers to it meanwhile.
        pool.supply(unsafe { Slot::new(start, 120, Arc::clone(&owner)) });
        let mut buffer = pool.take().expect("a slot");
        assert_eq!((pool.buffers(), pool.has_room()), (1, false));
        buffer[..100].fill(7);
        let bytes = buffer.freeze(100);
        assert_eq!(bytes.as_ptr(), start.as_ptr().cast_const());
        assert_eq!(Arc::strong_count(&owner), 2);
        drop(bytes);
        assert_eq!((Arc::strong_count(&owner), pool.buffers()), (1, 0));
        assert!(pool.take().is_none(), "used once");
        assert_eq!((memory[99], memory[100]), (7, 1));
    }

    #[test]
    fn a_shared_pool_is_bounded() {
        let Shared { pool, file, stride } = Pool::shared(2, 5000).expect("shared memory");
        assert_eq!(stride % rustix::param::page_size(), 0);
        let mut first = pool.take().expect("one");
        let second = pool.take().expect("two");
        assert_eq!((first.offset(), second.offset()), (0, stride));
        assert!(!pool.has_room() && pool.take().is_none());
        first[..5000].fill(7);
        let mapping = SharedMapping::open(&file, 2 * stride).expect("readable");
        // SAFETY: nothing is written while the bytes are borrowed.
        #[allow(unsafe_code, reason = "a view of mapped memory")]
        let seen = || unsafe { mapping.bytes(0..5000) };
        assert_eq!(seen(), [7; 5000], "seen at once, where it was written");
        let bytes = first.freeze(5000);
        assert!(!pool.has_room(), "still referred to");
        drop(bytes);
        let again = pool.take().expect("returned");
        assert_eq!(again.offset(), 0);
        drop((again, second, pool, file));
        assert_eq!(seen(), [7; 5000], "only the mapping of the reader is left");
    }

    #[test]
    fn other_processes_cannot_change_shared_memory() {
        use rustix::{
            fs::{SealFlags, fcntl_add_seals, ftruncate},
            io::{Errno, pwrite},
        };
        let Shared { file, stride, .. } = Pool::shared(1, 5000).expect("shared memory");
        assert_eq!(ftruncate(&file, 0), Err(Errno::PERM), "shrinks");
        assert_eq!(ftruncate(&file, 2 * stride as u64), Err(Errno::PERM), "grows");
        assert_eq!(pwrite(&file, b"x", 0), Err(Errno::PERM), "is written");
        assert_eq!(
            fcntl_add_seals(&file, SealFlags::WRITE),
            Err(Errno::PERM),
            "is sealed more"
        );
        SharedMapping::open(&file, stride + 1).expect_err("more than there is");
    }

    #[test]
    fn a_file_that_could_shrink_is_not_mapped() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(5000).expect("a size");
        SharedMapping::open(&file, 5000).expect_err("not sealed");
    }
}

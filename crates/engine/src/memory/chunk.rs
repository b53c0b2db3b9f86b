//! Parts of a mapping, each with one owner.

use std::{
    ops::{Deref, DerefMut},
    slice,
    sync::Arc,
};

use super::mapping::Mapping;

/// A part of a mapping that nothing else refers to. The mapping lives as long as a chunk of it.
///
/// A mapping starts as one chunk, which is then split and joined; so no two chunks overlap.
#[derive(Debug)]
pub struct Chunk {
    mapping: Arc<Mapping>,
    offset: usize,
    length: usize,
}

impl Chunk {
    /// All of `mapping`, which has no other chunks, since its ownership moves here.
    pub(super) fn whole(mapping: Mapping) -> Self {
        Self {
            offset: 0,
            length: mapping.bytes(),
            mapping: Arc::new(mapping),
        }
    }

    /// Offset in bytes from the start of the mapping.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Splits off the first `length` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[must_use]
    pub fn split_to(&mut self, length: usize) -> Self {
        assert!(length <= self.length, "{length} of {} bytes", self.length);
        let front = Self {
            mapping: Arc::clone(&self.mapping),
            offset: self.offset,
            length,
        };
        self.offset += length;
        self.length -= length;
        front
    }

    /// Joins it with the chunk that follows it in the mapping.
    ///
    /// # Panics
    ///
    /// If `next` is another one.
    pub fn unsplit(&mut self, next: Self) {
        let Self {
            mapping,
            offset,
            length,
        } = next;
        let is_next = Arc::ptr_eq(&self.mapping, &mapping) && offset == self.offset + self.length;
        assert!(is_next, "only adjacent chunks can be joined");
        self.length += length;
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[allow(unsafe_code, reason = "a view of mapped memory")]
    fn deref(&self) -> &[u8] {
        // SAFETY: these bytes lie within the mapping, which stays valid while `self` holds it, and they are initialised: zeros at first, or
        // what was in the memory of a caller. No other chunk overlaps with this one, so nothing writes them while they are borrowed: not in
        // this process, because it would need this chunk mutably, and the contract of memory of a caller is that the caller leaves it alone; and not
        // in another one, because a shared mapping is sealed against every other writer.
        unsafe { slice::from_raw_parts(self.mapping.start().add(self.offset).as_ptr(), self.length) }
    }
}

impl DerefMut for Chunk {
    #[allow(unsafe_code, reason = "a view of mapped memory")]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the borrow is exclusive. Another process may read a shared mapping at the same time; it sees old or new
        // bytes, which is its own concern, and cannot change what this process reads or writes.
        unsafe { slice::from_raw_parts_mut(self.mapping.start().add(self.offset).as_ptr(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(bytes: usize) -> Chunk {
        let mut chunk = Chunk::whole(Mapping::private(bytes));
        assert!(chunk.iter().all(|&byte| byte == 0), "zeros at first");
        (0..bytes).for_each(|index| chunk[index] = index as u8);
        chunk
    }

    #[test]
    fn chunks_are_split_and_joined_in_place() {
        let mut rest = numbered(100);
        let address = rest.as_ptr();
        let mut first = rest.split_to(10);
        let second = rest.split_to(30);
        assert_eq!((first[9], second[0], second[29], rest[0]), (9, 10, 39, 40));
        assert_eq!((second.offset(), rest.offset(), rest.len()), (10, 40, 60));
        first.unsplit(second);
        first.unsplit(rest);
        assert_eq!((first.as_ptr(), first.len()), (address, 100));
        assert!(
            first
                .iter()
                .enumerate()
                .all(|(index, &byte)| byte as usize == index)
        );
    }

    #[test]
    fn chunks_are_written_by_several_threads() {
        let mut rest = numbered(40);
        let mut chunks: Vec<Chunk> = (0..4).map(|_| rest.split_to(10)).collect();
        std::thread::scope(|scope| {
            for (index, chunk) in chunks.iter_mut().enumerate() {
                scope.spawn(move || chunk.fill(index as u8));
            }
        });
        let whole = chunks.into_iter().reduce(|mut whole, next| {
            whole.unsplit(next);
            whole
        });
        let whole = whole.expect("four chunks");
        assert!(
            whole
                .iter()
                .enumerate()
                .all(|(index, &byte)| byte as usize == index / 10)
        );
    }

    #[test]
    fn the_mapping_lives_as_long_as_a_chunk_of_it() {
        let mut rest = numbered(10_000);
        let chunk = rest.split_to(5000);
        drop(rest);
        assert_eq!(chunk[4999], 4999_u32 as u8);
    }

    #[test]
    #[should_panic(expected = "only adjacent chunks can be joined")]
    fn chunks_of_different_mappings_cannot_be_joined() {
        let mut front = numbered(10).split_to(5);
        let mut other = numbered(10);
        drop(other.split_to(5));
        front.unsplit(other);
    }

    #[test]
    #[should_panic(expected = "11 of 10 bytes")]
    fn a_chunk_cannot_be_split_beyond_its_end() {
        drop(numbered(10).split_to(11));
    }
}

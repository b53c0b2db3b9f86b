//! Parts of a region, each with one owner.

use std::{
    ops::{Deref, DerefMut},
    slice,
    sync::Arc,
};

use super::mapping::Mapping;

/// Bytes that nobody else refers to. The memory lives as long as a chunk of it.
///
/// Chunks are made from a region as a whole and then cut and joined; so no two of them overlap.
#[derive(Debug)]
pub struct Chunk {
    mapping: Arc<Mapping>,
    offset: usize,
    length: usize,
}

impl Chunk {
    /// All of `mapping`, which has no other chunks, since it is given away here.
    pub(super) fn whole(mapping: Mapping) -> Self {
        Self {
            offset: 0,
            length: mapping.bytes(),
            mapping: Arc::new(mapping),
        }
    }

    /// Where it begins, counted from the first byte of the memory that it was cut from.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Cuts off the first `length` bytes.
    ///
    /// # Panics
    ///
    /// Where there are fewer.
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

    /// Joins it with the chunk behind it.
    ///
    /// # Panics
    ///
    /// Where `next` is not that.
    pub fn unsplit(&mut self, next: Self) {
        let Self {
            mapping,
            offset,
            length,
        } = next;
        let is_next = Arc::ptr_eq(&self.mapping, &mapping) && offset == self.offset + self.length;
        assert!(is_next, "only neighbours can be joined");
        self.length += length;
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[allow(unsafe_code, reason = "a view of mapped memory")]
    fn deref(&self) -> &[u8] {
        // SAFETY: these bytes lie within the region, which is mapped while `self` holds it, and zeros are valid bytes from the start. No
        // other chunk overlaps with this one, so nobody writes them while they are borrowed: not in this process, because it would need
        // this chunk mutably, and not in another one, because a shared region is sealed against every other writer.
        unsafe { slice::from_raw_parts(self.mapping.start().add(self.offset).as_ptr(), self.length) }
    }
}

impl DerefMut for Chunk {
    #[allow(unsafe_code, reason = "a view of mapped memory")]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the borrow is exclusive. Another process may read a shared region at the same time; it sees old or new
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
    fn pieces_are_cut_and_joined_in_place() {
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
    fn pieces_are_written_by_several_threads() {
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
    fn the_memory_lives_as_long_as_a_piece_of_it() {
        let mut rest = numbered(10_000);
        let chunk = rest.split_to(5000);
        drop(rest);
        assert_eq!(chunk[4999], 4999_u32 as u8);
    }

    #[test]
    #[should_panic(expected = "only neighbours can be joined")]
    fn pieces_of_different_memory_cannot_be_joined() {
        let mut front = numbered(10).split_to(5);
        let mut other = numbered(10);
        drop(other.split_to(5));
        front.unsplit(other);
    }

    #[test]
    #[should_panic(expected = "11 of 10 bytes")]
    fn no_more_can_be_cut_off_than_there_is() {
        drop(numbered(10).split_to(11));
    }
}

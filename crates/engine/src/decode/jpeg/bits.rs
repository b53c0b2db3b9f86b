//! Bits of entropy-coded data, from the highest to the lowest of each byte.

use std::ops::Range;

use super::Error;
use super::coefficients::extend;

/// Zeros behind each segment, so that a reader finds eight bytes wherever it begins.
const PADDING: usize = 8;

/// The entropy-coded data of a scan without its stuffing, cut at its restart markers.
#[derive(Debug, Default)]
pub(super) struct Segments {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Segments {
    /// Takes the first `count` segments of `data`, and returns what begins with the first marker that is not a restart.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] where there is no such marker; [`Error::Broken`] where there are fewer segments, or restarts are not in order.
    /// What lies behind the last segment is passed over, as in libjpeg.
    ///
    /// # Source
    ///
    /// ITU-T T.81, annexes B.1.1.5 (stuffing) and B.2.1 (restart intervals).
    pub(super) fn take<'a>(&mut self, data: &'a [u8], count: usize) -> Result<&'a [u8], Error> {
        self.bytes.clear();
        self.ranges.clear();
        let (mut from, mut start) = (0, 0);
        let mut search = memchr::memchr_iter(0xFF, data);
        loop {
            let at = search.next().ok_or(Error::Truncated)?;
            let is_wanted = self.ranges.len() < count;
            if is_wanted {
                self.bytes.extend_from_slice(&data[from..at]);
            }
            match *data.get(at + 1).ok_or(Error::Truncated)? {
                // A byte of data, and the zero that says so.
                0x00 => {
                    if is_wanted {
                        self.bytes.push(0xFF);
                    }
                    from = at + 2;
                }
                // Fill bytes may stand before a marker.
                0xFF => from = at + 1,
                marker => {
                    from = at + 2;
                    let is_restart = (0xD0..=0xD7).contains(&marker);
                    if is_wanted {
                        self.ranges.push(start..self.bytes.len());
                        self.bytes.extend_from_slice(&[0; PADDING]);
                        start = self.bytes.len();
                        let is_last = self.ranges.len() == count;
                        let is_next = marker == 0xD0 + ((self.ranges.len() - 1) % 8) as u8;
                        if !is_last && !is_next {
                            return Err(Error::Broken("its restart markers are missing or out of order"));
                        }
                    }
                    if !is_restart {
                        return Ok(&data[at..]);
                    }
                }
            }
        }
    }

    /// Readers of the segments, in order.
    pub(super) fn readers(&self) -> impl ExactSizeIterator<Item = BitReader<'_>> {
        self.ranges
            .iter()
            .map(|range| BitReader::new(&self.bytes[range.start..range.end + PADDING]))
    }
}

/// A reader of one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next byte that is not in the buffer.
    at: usize,
    /// Bits to come, the next one highest; zeros behind those that count.
    buffer: u64,
    /// Bits in the buffer that count, at least. As wide as the others, or a copy would wait for its store.
    count: u64,
}

impl<'a> BitReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Sees to it that 56 bits can be looked at. Behind the end, they are zeros.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        let word = match self.bytes.get(self.at..) {
            Some(rest) => rest.first_chunk().map_or(0, |word| u64::from_be_bytes(*word)),
            None => 0,
        };
        self.buffer |= word >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
    }

    /// The next `count` bits, up to 16 of those filled.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        // Twice, because none of a word cannot be had by one shift.
        ((self.buffer >> 1) >> (63 - count)) as usize
    }

    /// Goes on by `count` bits, of those filled.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= u64::from(count);
    }

    /// The number that the next `size` bits stand for, up to 15 of those filled.
    #[inline(always)]
    pub(super) fn receive_extend(&mut self, size: u32) -> i32 {
        let bits = self.peek(size) as u32;
        self.skip(size);
        extend(bits, size)
    }

    /// Whether all bits that were read were there.
    pub(super) fn has_not_overrun(&self) -> bool {
        let read = self.at * 8 - self.count as usize;
        read <= (self.bytes.len() - PADDING) * 8
    }
}

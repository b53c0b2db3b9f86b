//! Bit reader for entropy-coded data, most significant bit first.

use std::ops::Range;

use super::Error;

/// Zero bytes after each segment, so that eight bytes can be loaded at any position.
const PADDING: usize = 8;

/// The entropy-coded data of a scan without byte stuffing, split at restart markers.
#[derive(Debug, Default)]
pub(super) struct Segments {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Segments {
    /// Unstuffs the first `count` segments of `data`. Returns the data from the first marker that is not a restart marker.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if there is no such marker; [`Error::Broken`] if there are fewer segments or restart markers are out of order.
    /// Data after the last segment is skipped, as by libjpeg.
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
                // A stuffed 0xFF data byte.
                0x00 => {
                    if is_wanted {
                        self.bytes.push(0xFF);
                    }
                    from = at + 2;
                }
                // Fill bytes may precede a marker.
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
                            return Err(Error::Broken("restart markers are missing or out of order"));
                        }
                    }
                    if !is_restart {
                        return Ok(&data[at..]);
                    }
                }
            }
        }
    }

    /// A reader of each segment, in order.
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
    /// Index of the next byte to be loaded.
    at: usize,
    /// The next bits, most significant first, followed by zeros.
    buffer: u64,
    /// Number of valid bits in `buffer`, at least. `u64` like the other fields, so that a copy of the struct avoids a store-forwarding
    /// stall.
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

    /// Fills the buffer to at least 56 bits. After the end of the data, they are zeros.
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

    /// The next `count` bits, at most 16, without consuming them.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        // Two shifts, because a shift by 64 is not defined for a count of 0.
        ((self.buffer >> 1) >> (63 - count)) as usize
    }

    /// Consumes `count` bits, which must be in the buffer.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= u64::from(count);
    }

    /// Whether all bits read so far were within the segment.
    pub(super) fn has_not_overrun(&self) -> bool {
        let read = self.at * 8 - self.count as usize;
        read <= (self.bytes.len() - PADDING) * 8
    }
}

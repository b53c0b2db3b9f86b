//! Huffman decoding of DC and AC coefficients: a table gives the next symbol together with the value after it.

use std::marker::PhantomData;

use super::bits::BitReader;
use super::huffman::HuffmanTable;
use super::symbols::{Ac, BLOCK, Band, Dc, END_OF_BLOCK, Symbols};

/// Index bits of the tables, which fit the L1 cache together with other data.
const TABLE_BITS: u32 = 10;

/// By the next [`TABLE_BITS`] bits: packed [`Step`](super::symbols::Step) in the lower half, value in the upper half; 0 if the bits do not contain all of it.
pub(super) type Steps = [u32; 1 << TABLE_BITS];

/// Decodes symbols and the values after them.
#[derive(Debug)]
pub(super) struct Decoder<'a, S> {
    table: &'a HuffmanTable,
    steps: &'a Steps,
    symbols: PhantomData<S>,
}

/// Decodes DC coefficients.
pub(super) type DcDecoder<'a> = Decoder<'a, Dc>;
/// Decodes AC coefficients.
pub(super) type AcDecoder<'a> = Decoder<'a, Ac>;
/// Decodes AC coefficients of progressive scans.
pub(super) type BandDecoder<'a> = Decoder<'a, Band>;

impl<'a, S: Symbols> Decoder<'a, S> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        Self {
            table,
            steps: S::steps(&table.derived).get_or_init(|| steps::<S>(table)),
            symbols: PhantomData,
        }
    }

    /// Decodes a symbol: the value after it, its advance, and whether a table entry held them. Needs 10 filled bits if it did, otherwise
    /// 31. `None` if the code is invalid.
    #[inline(always)]
    fn step(&self, bits: &mut BitReader<'_>) -> Option<(i32, u32, bool)> {
        let entry = self.steps[bits.peek(TABLE_BITS)];
        if entry == 0 {
            let (after, value, advance) = S::long_step(self.table, *bits)?;
            *bits = after;
            return Some((value, advance, false));
        }
        bits.skip(entry & 0xFF);
        Some((entry.cast_signed() >> 16, (entry >> 8) & 0xFF, true))
    }
}

fn steps<S: Symbols>(table: &HuffmanTable) -> Box<Steps> {
    let mut steps = Box::new([0; 1 << TABLE_BITS]);
    for (lookahead, entry) in steps.iter_mut().enumerate() {
        if let Some((step, value)) = S::contained(table, lookahead, TABLE_BITS) {
            *entry = u32::from(step.packed()) | (value.cast_unsigned() << 16);
        }
    }
    steps
}

impl DcDecoder<'_> {
    /// Decodes the difference from the previous DC coefficient. `None` if the code is invalid.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_>) -> Option<i32> {
        bits.fill();
        self.step(bits).map(|(value, ..)| value)
    }
}

impl AcDecoder<'_> {
    /// Calls `add` with the zigzag index and value of each AC coefficient of a block. Returns whether the block has any; `None` if the data
    /// are invalid.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_>, mut add: impl FnMut(usize, i32)) -> Option<bool> {
        let mut at = 1;
        while at < BLOCK {
            bits.fill();
            // The filled bits suffice for two table entries and a third symbol of any length.
            for _ in 0..3 {
                let (value, advance, is_short) = self.step(bits)?;
                at += advance;
                if at > BLOCK {
                    break;
                }
                // After a run of 16 zeros, this adds a zero.
                add(at as usize - 1, value);
                if at == BLOCK || !is_short {
                    break;
                }
            }
        }
        (at == BLOCK || at >= END_OF_BLOCK).then_some(at != 1 + END_OF_BLOCK)
    }
}

impl BandDecoder<'_> {
    /// Calls `put` with the zigzag index and value of each nonzero coefficient of a block from `first` to `last`. Returns the number of
    /// further blocks in the end-of-band run; `None` if the data are invalid.
    ///
    /// # Source
    ///
    /// ITU-T T.81, annex G.1.2.2.
    #[inline(always)]
    pub(super) fn read(
        &self,
        bits: &mut BitReader<'_>,
        (first, last): (usize, usize),
        mut put: impl FnMut(usize, i32),
    ) -> Option<u32> {
        let (mut at, end) = (first as u32, last as u32 + 1);
        while at < end {
            bits.fill();
            // As in `AcDecoder::read`.
            for _ in 0..3 {
                let (value, advance, is_short) = self.step(bits)?;
                if advance == END_OF_BLOCK {
                    return Some(value.cast_unsigned());
                }
                at += advance;
                if value != 0 {
                    (at <= end).then(|| put(at as usize - 1, value))?;
                }
                if at >= end || !is_short {
                    break;
                }
            }
        }
        Some(0)
    }
}

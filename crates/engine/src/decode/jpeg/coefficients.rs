//! Huffman decoding of DC and AC coefficients, and skipping of AC coefficients.
//!
//! The decoders look up the next bits in tables that give the symbol together with the value after it; when skipping, also the next symbol.

use super::bits::BitReader;
use super::huffman::{HuffmanTable, LOOKAHEAD_BITS};

/// Index bits of the tables of the decoders, which fit the L1 cache together with other data. Skipping uses [`LOOKAHEAD_BITS`].
const TABLE_BITS: u32 = 10;
/// Coefficients of a block.
const BLOCK: u32 = 64;
/// The advance of an end-of-block symbol: larger than any sum of other advances in a block.
const END_OF_BLOCK: u32 = 2 * BLOCK;
/// Maximum bits of a table entry for skipping: two entries fit the bits of one fill.
const MAX_ENTRY_BITS: u32 = 28;

/// A run/size symbol and the value after it.
#[derive(Clone, Copy, Debug)]
struct RunSize {
    /// Bits of code and value.
    bits: u32,
    /// Coefficients advanced over, including the one with the value; [`END_OF_BLOCK`] if the rest of the block is zero.
    advance: u32,
    /// Bits of the value.
    size: u32,
}

impl RunSize {
    fn of(symbol: u8, length: u32) -> Option<Self> {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let advance = match (run, size) {
            (0, 0) => END_OF_BLOCK,
            (15, 0) => 16,
            (_, 0) => return None,
            _ => run + 1,
        };
        let bits = length + size;
        Some(Self { bits, advance, size })
    }

    /// The first symbol of `lookahead`.
    fn lookup(table: &HuffmanTable, lookahead: usize) -> Option<Self> {
        let (symbol, length) = table.lookup(lookahead)?;
        Self::of(symbol, length)
    }

    /// Both as one entry.
    fn and(self, second: Self) -> Self {
        Self {
            bits: self.bits + second.bits,
            advance: self.advance + second.advance,
            size: 0,
        }
    }

    /// Packed: bits in the lower byte, advance in the upper byte.
    fn packed(self) -> u16 {
        (self.bits | (self.advance << 8)) as u16
    }
}

/// Decodes DC coefficients.
#[derive(Debug)]
pub(super) struct DcDecoder<'a> {
    table: &'a HuffmanTable,
    /// By the next [`TABLE_BITS`] bits: total bits in the lower half, value in the upper half; 0 if the bits do not contain all of it.
    numbers: Box<[u32; 1 << TABLE_BITS]>,
}

impl<'a> DcDecoder<'a> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        let mut numbers = Box::new([0; 1 << TABLE_BITS]);
        for (lookahead, entry) in numbers.iter_mut().enumerate() {
            if let Some((size, length)) = table.lookup(lookahead << (LOOKAHEAD_BITS - TABLE_BITS)) {
                *entry = packed_value(lookahead, length, size.into()).unwrap_or(0);
            }
        }
        Self { table, numbers }
    }

    /// Decodes the difference from the previous DC coefficient. `None` if the code is invalid.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_>) -> Option<i32> {
        bits.fill();
        let entry = self.numbers[bits.peek(TABLE_BITS)];
        if entry == 0 {
            let (after, value) = self.long_step(*bits)?;
            *bits = after;
            return Some(value);
        }
        bits.skip(entry & 0xFF);
        Some(entry.cast_signed() >> 16)
    }

    /// Takes and returns the reader by value, so that it stays in registers in the caller.
    #[cold]
    fn long_step<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, i32)> {
        let size = u32::from(self.table.symbol(&mut bits)?);
        (size <= 15).then(|| {
            let number = bits.receive_extend(size);
            (bits, number)
        })
    }
}

/// Decodes AC coefficients.
#[derive(Debug)]
pub(super) struct AcDecoder<'a> {
    table: &'a HuffmanTable,
    /// By the next [`TABLE_BITS`] bits: packed [`RunSize`] in the lower half, value in the upper half; 0 if the bits do not contain all of
    /// it.
    steps: Box<[u32; 1 << TABLE_BITS]>,
}

impl<'a> AcDecoder<'a> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        let mut steps = Box::new([0; 1 << TABLE_BITS]);
        for (lookahead, entry) in steps.iter_mut().enumerate() {
            if let Some((symbol, length)) = table.lookup(lookahead << (LOOKAHEAD_BITS - TABLE_BITS))
                && let Some(step) = RunSize::of(symbol, length)
                && let Some(seen) = packed_value(lookahead, length, step.size)
            {
                *entry = seen | u32::from(step.packed());
            }
        }
        Self { table, steps }
    }

    /// Calls `add` with the zigzag index and value of each AC coefficient of a block. Returns whether the block has any; `None` if the data
    /// are invalid.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_>, mut add: impl FnMut(usize, i32)) -> Option<bool> {
        let mut at = 1;
        while at < BLOCK {
            bits.fill();
            // The filled bits suffice for two table entries and a third symbol of any length.
            for _ in 0..3 {
                let entry = self.steps[bits.peek(TABLE_BITS)];
                let (value, advance) = if entry == 0 {
                    let (after, value, advance) = self.long_step(*bits)?;
                    *bits = after;
                    (value, advance)
                } else {
                    bits.skip(entry & 0xFF);
                    (entry.cast_signed() >> 16, (entry >> 8) & 0xFF)
                };
                at += advance;
                if at > BLOCK {
                    break;
                }
                // After a run of 16 zeros, this adds a zero.
                add(at as usize - 1, value);
                if at == BLOCK || entry == 0 {
                    break;
                }
            }
        }
        (at == BLOCK || at >= END_OF_BLOCK).then_some(at != 1 + END_OF_BLOCK)
    }

    /// Returns the reader after the symbol, the value and the advance.
    #[cold]
    fn long_step<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, i32, u32)> {
        let step = RunSize::of(self.table.symbol(&mut bits)?, 0)?;
        let number = bits.receive_extend(step.size);
        Some((bits, number, step.advance))
    }
}

/// Decodes AC coefficients of progressive scans, with end-of-band runs.
#[derive(Debug)]
pub(super) struct BandDecoder<'a> {
    table: &'a HuffmanTable,
    /// As in [`AcDecoder`]; the value of an end-of-band symbol is the number of further blocks in its run.
    steps: Box<[u32; 1 << TABLE_BITS]>,
}

impl<'a> BandDecoder<'a> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        let mut steps = Box::new([0; 1 << TABLE_BITS]);
        for (lookahead, entry) in steps.iter_mut().enumerate() {
            if let Some((symbol, length)) = table.lookup(lookahead << (LOOKAHEAD_BITS - TABLE_BITS)) {
                let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
                let is_end = size == 0 && zeros < 15;
                let (advance, size) = if is_end {
                    (END_OF_BLOCK, zeros)
                } else {
                    (zeros + 1, size)
                };
                let Some(rest) = TABLE_BITS.checked_sub(length + size) else {
                    continue;
                };
                let bits = (lookahead >> rest) as u32 & ((1 << size) - 1);
                let value = if is_end {
                    eob_run(bits, size)
                } else {
                    extend(bits, size).cast_unsigned()
                };
                *entry = (length + size) | (advance << 8) | (value << 16);
            }
        }
        Self { table, steps }
    }

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
                let entry = self.steps[bits.peek(TABLE_BITS)];
                let (value, advance) = if entry == 0 {
                    let (after, value, advance) = self.long_step(*bits)?;
                    *bits = after;
                    (value, advance)
                } else {
                    bits.skip(entry & 0xFF);
                    (entry.cast_signed() >> 16, (entry >> 8) & 0xFF)
                };
                if advance == END_OF_BLOCK {
                    return Some(value.cast_unsigned());
                }
                at += advance;
                if value != 0 {
                    (at <= end).then(|| put(at as usize - 1, value))?;
                }
                if at >= end || entry == 0 {
                    break;
                }
            }
        }
        Some(0)
    }

    /// Returns the reader after the symbol, the value and the advance.
    #[cold]
    fn long_step<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, i32, u32)> {
        let symbol = u32::from(self.table.symbol(&mut bits)?);
        let (zeros, size) = (symbol >> 4, symbol & 15);
        if size == 0 && zeros < 15 {
            let count = eob_run(bits.peek(zeros) as u32, zeros);
            bits.skip(zeros);
            return Some((bits, count.cast_signed(), END_OF_BLOCK));
        }
        let number = bits.receive_extend(size);
        Some((bits, number, zeros + 1))
    }
}

/// The number of further blocks in an end-of-band run (EOBRUN) with `size` extra bits.
#[inline(always)]
pub(super) fn eob_run(bits: u32, size: u32) -> u32 {
    (1 << size) + bits - 1
}

/// Skips AC coefficients, often two at a time.
#[derive(Debug)]
pub(super) struct AcSkipper<'a> {
    table: &'a HuffmanTable,
    /// By the next [`LOOKAHEAD_BITS`] bits, packed [`RunSize`]s, 0 if the bits do not contain a symbol: one or two symbols in the first
    /// half, one symbol in the second half, which is used near the end of a block.
    steps: Box<[u16; 2 << LOOKAHEAD_BITS]>,
}

impl<'a> AcSkipper<'a> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        let mut steps = Box::new([0; 2 << LOOKAHEAD_BITS]);
        let (many, one) = steps.split_at_mut(1 << LOOKAHEAD_BITS);
        for lookahead in 0..1 << LOOKAHEAD_BITS {
            let Some(step) = RunSize::lookup(table, lookahead).filter(|step| step.bits <= MAX_ENTRY_BITS)
            else {
                continue;
            };
            one[lookahead] = step.packed();
            let both = following(table, lookahead, step).map(|second| step.and(second));
            many[lookahead] = both
                .filter(|both| both.bits <= MAX_ENTRY_BITS)
                .unwrap_or(step)
                .packed();
        }
        Self { table, steps }
    }

    /// Skips the AC coefficients of a block. `None` if the data are invalid.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut BitReader<'_>) -> Option<()> {
        let mut at = 1;
        while at < BLOCK {
            bits.fill();
            // Before this limit, the first of two symbols cannot end beyond the block.
            let half = usize::from(at >= BLOCK - 16) << LOOKAHEAD_BITS;
            let entry = u32::from(self.steps[half | bits.peek(LOOKAHEAD_BITS)]);
            if entry == 0 {
                let (after, advance) = self.long_step(*bits)?;
                *bits = after;
                at += advance;
            } else {
                bits.skip(entry & 0xFF);
                at += entry >> 8;
            }
        }
        (at == BLOCK || at >= END_OF_BLOCK).then_some(())
    }

    /// Returns the reader after the symbol, and the advance.
    #[cold]
    fn long_step<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, u32)> {
        let step = RunSize::of(self.table.symbol(&mut bits)?, 0)?;
        bits.skip(step.size);
        Some((bits, step.advance))
    }
}

/// A table entry: bits of code and value, and the value; `None` if `lookahead` does not contain all of them.
fn packed_value(lookahead: usize, length: u32, size: u32) -> Option<u32> {
    let rest = TABLE_BITS.checked_sub(length + size)?;
    let bits = (lookahead >> rest) as u32 & ((1 << size) - 1);
    Some((length + size) | (extend(bits, size).cast_unsigned() << 16))
}

/// The symbol after `first`, if the rest of `lookahead` contains it.
fn following(table: &HuffmanTable, lookahead: usize, first: RunSize) -> Option<RunSize> {
    if first.advance >= BLOCK || first.bits >= LOOKAHEAD_BITS {
        return None;
    }
    let rest = (lookahead << first.bits) & ((1 << LOOKAHEAD_BITS) - 1);
    let (symbol, length) = table.lookup(rest)?;
    (length <= LOOKAHEAD_BITS - first.bits).then(|| RunSize::of(symbol, length))?
}

/// The signed value of `size` bits; negative values begin with 0.
///
/// # Source
///
/// ITU-T T.81, annex F.2.2.1, figure F.12 (EXTEND).
#[inline]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let is_negative = bits < (1 << size) >> 1;
    let below = if is_negative { (1 << size) - 1 } else { 0 };
    bits.cast_signed() - below
}

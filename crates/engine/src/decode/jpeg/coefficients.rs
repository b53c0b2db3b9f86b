//! The coefficients of a block behind its first: read, or advance over.
//!
//! Both lookahead at the next bits and find in a table all that they say: not only the symbol, but the number behind it, too, or even
//! what follows.

use super::bits::BitReader;
use super::huffman::{HuffmanTable, LOOKAHEAD_BITS};

/// Bits that readers lookahead at: as many as leave room for more than their tables in the nearest cache. Skipping takes [`LOOKAHEAD_BITS`].
const TABLE_BITS: u32 = 10;
/// Coefficients of a block.
const BLOCK: u32 = 64;
/// What the end of a block adds to the number of the coefficient, beyond all that others can add up to.
const END_OF_BLOCK: u32 = 2 * BLOCK;
/// Bits of a step, at most: two of them fit what is filled at a time.
const STEP: u32 = 28;

/// What a symbol and the number behind it do.
#[derive(Clone, Copy, Debug)]
struct RunSize {
    /// Bits that they take.
    bits: u32,
    /// Coefficients advance, with the one that is given a value; [`END_OF_BLOCK`] where the rest of the block is zero.
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

    /// The step that `lookahead` begins with.
    fn lookup(table: &HuffmanTable, lookahead: usize) -> Option<Self> {
        let (symbol, length) = table.lookup(lookahead)?;
        Self::of(symbol, length)
    }

    /// Both as one step.
    fn and(self, second: Self) -> Self {
        Self {
            bits: self.bits + second.bits,
            advance: self.advance + second.advance,
            size: 0,
        }
    }

    /// Bits in the lower byte, in the upper one what is advance.
    fn packed(self) -> u16 {
        (self.bits | (self.advance << 8)) as u16
    }
}

/// Reads the first coefficients of blocks.
#[derive(Debug)]
pub(super) struct DcDecoder<'a> {
    table: &'a HuffmanTable,
    /// For the next bits, how many of them it takes, and from the seventeenth bit on the number; 0 where not all of it can be seen.
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

    /// The difference from the one before.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_>) -> Option<i32> {
        bits.fill();
        let entry = self.numbers[bits.peek(TABLE_BITS)];
        if entry == 0 {
            let (behind, value) = self.long_step(*bits)?;
            *bits = behind;
            return Some(value);
        }
        bits.skip(entry & 0xFF);
        Some(entry.cast_signed() >> 16)
    }

    /// Takes the reader, and gives it back, so that it stays in registers where this is not called.
    #[cold]
    fn long_step<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, i32)> {
        let size = u32::from(self.table.symbol(&mut bits)?);
        (size <= 15).then(|| {
            let number = bits.receive_extend(size);
            (bits, number)
        })
    }
}

/// Reads the other coefficients.
#[derive(Debug)]
pub(super) struct AcDecoder<'a> {
    table: &'a HuffmanTable,
    /// For the next bits, a packed step and above it the value; 0 where not all of it can be seen.
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

    /// Calls `add` with each coefficient of a block and its place in the order of coding, and says whether there was any but zeros at the
    /// end. `None` where they are none.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_>, mut add: impl FnMut(usize, i32)) -> Option<bool> {
        let mut at = 1;
        while at < BLOCK {
            bits.fill();
            // Enough for two steps that are seen, and a third of any length.
            for _ in 0..3 {
                let entry = self.steps[bits.peek(TABLE_BITS)];
                let (value, advance) = if entry == 0 {
                    let (behind, value, advance) = self.long_step(*bits)?;
                    *bits = behind;
                    (value, advance)
                } else {
                    bits.skip(entry & 0xFF);
                    (entry.cast_signed() >> 16, (entry >> 8) & 0xFF)
                };
                at += advance;
                if at > BLOCK {
                    break;
                }
                // Where zeros were advance, one more zero.
                add(at as usize - 1, value);
                if at == BLOCK || entry == 0 {
                    break;
                }
            }
        }
        (at == BLOCK || at >= END_OF_BLOCK).then_some(at != 1 + END_OF_BLOCK)
    }

    /// The reader behind it, the value, and what is advance.
    #[cold]
    fn long_step<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, i32, u32)> {
        let step = RunSize::of(self.table.symbol(&mut bits)?, 0)?;
        let number = bits.receive_extend(step.size);
        Some((bits, number, step.advance))
    }
}

/// Reads coefficients of blocks in progressive scans, where a block's end may stand for those of many.
#[derive(Debug)]
pub(super) struct BandDecoder<'a> {
    table: &'a HuffmanTable,
    /// As of [`AcDecoder`]; the value of an end is the number of blocks to come that it stands for, too.
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

    /// Calls `put` with each coefficient but zeros of a block from `first` to `last`, and its place in the order of coding, and returns how
    /// many blocks follow that have none. `None` where they are none.
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
            // As many as of a block that is coded at once.
            for _ in 0..3 {
                let entry = self.steps[bits.peek(TABLE_BITS)];
                let (value, advance) = if entry == 0 {
                    let (behind, value, advance) = self.long_step(*bits)?;
                    *bits = behind;
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

    /// The reader behind it, the value, and what is advance.
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

/// The number of blocks behind this one that an end of `size` bits stands for.
#[inline(always)]
pub(super) fn eob_run(bits: u32, size: u32) -> u32 {
    (1 << size) + bits - 1
}

/// Passes over coefficients, often two at a time.
#[derive(Debug)]
pub(super) struct AcSkipper<'a> {
    table: &'a HuffmanTable,
    /// For the next bits, packed steps, 0 where none can be seen: one or two in the first half, one alone in the second, which is for the
    /// end of a block.
    steps: Box<[u16; 2 << LOOKAHEAD_BITS]>,
}

impl<'a> AcSkipper<'a> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        let mut steps = Box::new([0; 2 << LOOKAHEAD_BITS]);
        let (many, one) = steps.split_at_mut(1 << LOOKAHEAD_BITS);
        for lookahead in 0..1 << LOOKAHEAD_BITS {
            let Some(step) = RunSize::lookup(table, lookahead).filter(|step| step.bits <= STEP) else {
                continue;
            };
            one[lookahead] = step.packed();
            let both = following(table, lookahead, step).map(|second| step.and(second));
            many[lookahead] = both.filter(|both| both.bits <= STEP).unwrap_or(step).packed();
        }
        Self { table, steps }
    }

    /// Passes over the coefficients of a block. `None` where they are none.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut BitReader<'_>) -> Option<()> {
        let mut at = 1;
        while at < BLOCK {
            bits.fill();
            // While a step of any length ends within the block, so does the first of two.
            let half = usize::from(at >= BLOCK - 16) << LOOKAHEAD_BITS;
            let entry = u32::from(self.steps[half | bits.peek(LOOKAHEAD_BITS)]);
            if entry == 0 {
                let (behind, advance) = self.long_step(*bits)?;
                *bits = behind;
                at += advance;
            } else {
                bits.skip(entry & 0xFF);
                at += entry >> 8;
            }
        }
        (at == BLOCK || at >= END_OF_BLOCK).then_some(())
    }

    /// The reader behind it, and what is advance.
    #[cold]
    fn long_step<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, u32)> {
        let step = RunSize::of(self.table.symbol(&mut bits)?, 0)?;
        bits.skip(step.size);
        Some((bits, step.advance))
    }
}

/// The bits of a symbol and of the number behind it, and the number, as in a table; `None` where `lookahead` does not hold all of them.
fn packed_value(lookahead: usize, length: u32, size: u32) -> Option<u32> {
    let rest = TABLE_BITS.checked_sub(length + size)?;
    let bits = (lookahead >> rest) as u32 & ((1 << size) - 1);
    Some((length + size) | (extend(bits, size).cast_unsigned() << 16))
}

/// The step behind `first`, if its symbol can be seen in the rest of `lookahead`.
fn following(table: &HuffmanTable, lookahead: usize, first: RunSize) -> Option<RunSize> {
    if first.advance >= BLOCK || first.bits >= LOOKAHEAD_BITS {
        return None;
    }
    let rest = (lookahead << first.bits) & ((1 << LOOKAHEAD_BITS) - 1);
    let (symbol, length) = table.lookup(rest)?;
    (length <= LOOKAHEAD_BITS - first.bits).then(|| RunSize::of(symbol, length))?
}

/// The number that `size` bits stand for: negative ones begin with 0.
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

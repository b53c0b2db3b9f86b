//! The symbols of Huffman tables, and the values after them.

use std::cell::OnceCell;

use super::bits::BitReader;
use super::coefficients::Steps;
use super::huffman::{Derived, HuffmanTable, LOOKAHEAD_BITS};

/// Coefficients of a block.
pub(super) const BLOCK: u32 = 64;
/// The advance of an end-of-block symbol: larger than any sum of other advances in a block.
pub(super) const END_OF_BLOCK: u32 = 2 * BLOCK;

/// The symbols of a kind of Huffman table, each of which is followed by a value.
pub(super) trait Symbols {
    /// The meaning of `symbol`, whose code has `length` bits; `None` if it is invalid.
    fn step(symbol: u8, length: u32) -> Option<Step>;

    /// Where a Huffman table of this kind keeps its decoding table.
    fn steps(derived: &Derived) -> &OnceCell<Box<Steps>>;

    /// The value after the symbol of `step`.
    #[inline(always)]
    fn value(step: Step, bits: u32) -> i32 {
        extend(bits, step.size)
    }

    /// The symbol at the beginning of the `count` bits of `lookahead`, at most [`LOOKAHEAD_BITS`], and the value after it, if they contain both.
    fn contained(table: &HuffmanTable, lookahead: usize, count: u32) -> Option<(Step, i32)> {
        let (symbol, length) = table.lookup(lookahead << (LOOKAHEAD_BITS - count))?;
        let step = Self::step(symbol, length)?;
        let rest = count.checked_sub(step.bits)?;
        let bits = (lookahead >> rest) as u32 & ((1 << step.size) - 1);
        Some((step, Self::value(step, bits)))
    }

    /// Returns the reader after the next symbol and its value, the value, and the advance. Needs 31 filled bits. Takes and returns the reader by
    /// value, so that it stays in registers in the caller. Inlined, so that the caller knows that the advance is not 0.
    #[inline(always)]
    fn long_step<'b>(table: &HuffmanTable, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, i32, u32)> {
        let step = Self::step(table.symbol(&mut bits)?, 0)?;
        let value = Self::value(step, bits.peek(step.size) as u32);
        bits.skip(step.size);
        Some((bits, value, step.advance))
    }
}

/// A symbol and the value after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Bits of code and value.
    pub(super) bits: u32,
    /// AC coefficients advanced over, including the one with the value; [`END_OF_BLOCK`] if the rest of the block is zero.
    pub(super) advance: u32,
    /// Bits of the value.
    pub(super) size: u32,
}

impl Step {
    fn new((length, size): (u32, u32), advance: u32) -> Self {
        Self {
            bits: length + size,
            advance,
            size,
        }
    }

    /// Both as one entry.
    pub(super) fn and(self, second: Self) -> Self {
        Self {
            bits: self.bits + second.bits,
            advance: self.advance + second.advance,
            size: 0,
        }
    }

    /// Packed: bits in the lower byte, advance in the upper byte.
    pub(super) fn packed(self) -> u16 {
        (self.bits | (self.advance << 8)) as u16
    }
}

/// Symbols of DC tables: the bits of a difference.
#[derive(Debug)]
pub(super) enum Dc {}

impl Symbols for Dc {
    fn steps(derived: &Derived) -> &OnceCell<Box<Steps>> {
        &derived.dc
    }

    #[inline(always)]
    fn step(size: u8, length: u32) -> Option<Step> {
        (size <= 15).then(|| Step::new((length, size.into()), 0))
    }
}

/// Symbols of AC tables: a run of zeros, and the bits of the value that follows it.
#[derive(Debug)]
pub(super) enum Ac {}

impl Symbols for Ac {
    fn steps(derived: &Derived) -> &OnceCell<Box<Steps>> {
        &derived.ac
    }

    #[inline(always)]
    fn step(symbol: u8, length: u32) -> Option<Step> {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let advance = match (run, size) {
            (0, 0) => END_OF_BLOCK,
            (15, 0) => 16,
            (_, 0) => return None,
            _ => run + 1,
        };
        Some(Step::new((length, size), advance))
    }
}

/// Symbols of AC tables of progressive scans, some of which are followed by the length of an end-of-band run.
#[derive(Debug)]
pub(super) enum Band {}

impl Symbols for Band {
    fn steps(derived: &Derived) -> &OnceCell<Box<Steps>> {
        &derived.band
    }

    #[inline(always)]
    fn step(symbol: u8, length: u32) -> Option<Step> {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        Some(match size {
            0 if run < 15 => Step::new((length, run), END_OF_BLOCK),
            _ => Step::new((length, size), run + 1),
        })
    }

    #[inline(always)]
    fn value(step: Step, bits: u32) -> i32 {
        if step.advance == END_OF_BLOCK {
            eob_run(bits, step.size).cast_signed()
        } else {
            extend(bits, step.size)
        }
    }
}

/// The number of further blocks in an end-of-band run (EOBRUN) with `size` extra bits.
#[inline(always)]
pub(super) fn eob_run(bits: u32, size: u32) -> u32 {
    (1 << size) + bits - 1
}

/// The signed value of `size` bits; negative values begin with 0.
///
/// # Source
///
/// ITU-T T.81, annex F.2.2.1, figure F.12 (EXTEND).
#[inline]
fn extend(bits: u32, size: u32) -> i32 {
    let is_negative = bits < (1 << size) >> 1;
    let below = if is_negative { (1 << size) - 1 } else { 0 };
    bits.cast_signed() - below
}

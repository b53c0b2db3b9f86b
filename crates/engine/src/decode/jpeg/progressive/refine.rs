//! Refinement scans: one more bit of each coefficient.

use super::super::BLOCK;
use super::super::bits::BitReader;
use super::super::component_buffer::{BlockMut, Coefficients};
use super::super::full::idct::STORAGE_ORDER;
use super::super::huffman::HuffmanTable;
use super::super::symbols::eob_run;
use super::block::{BlockDecoder, put};

/// Refinement scan of DC coefficients: one more bit.
pub(super) struct DcRefine {
    pub(super) bit: i16,
}

impl BlockDecoder for DcRefine {
    #[inline(always)]
    fn restart(&mut self) {}

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, _: usize, block: BlockMut<'_>) -> Option<()> {
        bits.fill();
        if bits.peek(1) == 1 {
            block.values[0] |= self.bit;
        }
        bits.skip(1);
        Some(())
    }
}

/// Refinement scan of a band of AC coefficients: one more bit of nonzero ones, and new ones of magnitude 1.
pub(super) struct AcRefine<'a> {
    pub(super) table: &'a HuffmanTable,
    pub(super) band: (usize, usize),
    pub(super) low: u32,
    /// Further blocks of the end-of-band run, which have no new coefficients.
    pub(super) run: u32,
}

impl BlockDecoder for AcRefine<'_> {
    #[inline(always)]
    fn restart(&mut self) {
        self.run = 0;
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, _: usize, block: BlockMut<'_>) -> Option<()> {
        let ((first, last), low) = (self.band, self.low);
        let BlockMut { values, nonzero } = block;
        let band = (u64::MAX << first) & (u64::MAX >> (BLOCK - 1 - last));
        // Nonzero coefficients, to be corrected, and zero ones, which may become nonzero. Corrections are applied after all bits are read.
        let (there, mut free) = (*nonzero & band, !*nonzero & band);
        let (mut rest, mut word) = (there, 0);
        bits.fill();
        if self.run == 0 {
            loop {
                let symbol = self.table.symbol(bits)?;
                let (zeros, size) = (u32::from(symbol >> 4), symbol & 15);
                if size == 0 && zeros < 15 {
                    self.run = eob_run(bits.peek(zeros) as u32, zeros) + 1;
                    bits.skip(zeros);
                    bits.fill();
                    break;
                }
                let sign = bits.peek(1);
                bits.skip(size.into());
                // To the zero coefficient after `zeros` others; beyond the band if there are fewer.
                free = without_lowest(free, zeros);
                let k = (free.trailing_zeros() as usize).min(last + 1);
                let passed = rest & (u64::MAX >> (BLOCK - k));
                word = append(word, bits, passed.count_ones());
                rest ^= passed;
                free &= free.wrapping_sub(1);
                if size > 0 {
                    (size == 1 && k <= last).then_some(())?;
                    let value = if sign == 1 { 1 << low } else { -1 << low };
                    *nonzero = put(values, *nonzero, k, value);
                }
                if k >= last {
                    break;
                }
                bits.fill();
            }
        }
        if self.run > 0 {
            self.run -= 1;
            word = append(word, bits, rest.count_ones());
            rest = 0;
        }
        correct(values, there ^ rest, word, low);
        Some(())
    }
}

/// Applies correction bits: adds `1 << low` to the magnitude of each coefficient in `mask`, all nonzero, whose bit in `word` is 1. The bits
/// are the lowest of `word`, that of the last coefficient lowest.
#[inline(always)]
fn correct(values: &mut Coefficients, mut mask: u64, word: u64, low: u32) {
    let mut word = word.rotate_right(mask.count_ones());
    while mask != 0 {
        let k = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let value = &mut values[usize::from(STORAGE_ORDER[k % BLOCK]) % BLOCK];
        let sign = *value >> 15;
        let bit = (word >> 63) as i16 & !(*value >> low);
        // Negated for negative values.
        *value = value.wrapping_add(((bit << low) ^ sign).wrapping_sub(sign));
        word <<= 1;
    }
}

/// Appends the next `count` bits to `word`; up to 32 bits must be filled, more are filled here.
#[inline(always)]
fn append(word: u64, bits: &mut BitReader<'_>, count: u32) -> u64 {
    if count > 32 {
        let (after, word) = append_many(word, *bits, count);
        *bits = after;
        return word;
    }
    let next = bits.peek(count) as u64;
    bits.skip(count);
    (word << count) | next
}

#[cold]
fn append_many<'b>(mut word: u64, mut bits: BitReader<'b>, count: u32) -> (BitReader<'b>, u64) {
    for count in [count - 32, 32] {
        bits.fill();
        word = append(word, &mut bits, count);
    }
    (bits, word)
}

/// `mask` without its lowest `count` bits.
#[inline(always)]
fn without_lowest(mut mask: u64, count: u32) -> u64 {
    // `count` is mostly small and unpredictable, so the first four steps are branch-free.
    for number in 0..4 {
        let fewer = mask & mask.wrapping_sub(1);
        mask = if number < count { fewer } else { mask };
    }
    for _ in 4..count {
        mask &= mask.wrapping_sub(1);
    }
    mask
}

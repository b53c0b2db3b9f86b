//! Huffman decoding by table look-up.

use std::cell::OnceCell;

use super::bits::BitReader;
use super::coefficients::Steps;
use super::pairs::Entries;
use super::skipping::Skips;

/// Index bits of the look-up table. Longer codes are rare.
pub(super) const LOOKAHEAD_BITS: u32 = 12;

/// A Huffman decoding table.
///
/// # Source
///
/// ITU-T T.81, annexes C (codes) and F.2.2.3 (decoding).
#[derive(Debug)]
pub(super) struct HuffmanTable {
    /// By the next [`LOOKAHEAD_BITS`] bits: symbol in the lower byte, code length in the upper. 0 if the code is longer or invalid.
    short: Box<[u16]>,
    /// By length: the first code after those of this length, left-aligned in 16 bits.
    end: [u32; 17],
    /// By length: index of a code's symbol minus the code.
    offset: [i32; 17],
    counts: [u8; 16],
    symbols: Vec<u8>,
    /// Tables derived from this one.
    pub(super) derived: Derived,
}

/// Tables of the decoders that have used a [`HuffmanTable`].
#[derive(Debug, Default)]
pub(super) struct Derived {
    pub(super) dc: OnceCell<Box<Steps>>,
    pub(super) ac: OnceCell<Box<Steps>>,
    pub(super) band: OnceCell<Box<Steps>>,
    pub(super) pairs: OnceCell<Box<Entries>>,
    pub(super) skips: OnceCell<Box<Skips>>,
}

impl HuffmanTable {
    /// The table with `counts[n]` codes of `n + 1` bits, whose symbols are given in order. `None` if no such prefix code exists.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut code = Self {
            short: vec![0; 1 << LOOKAHEAD_BITS].into(),
            end: [0; 17],
            offset: [0; 17],
            counts: *counts,
            symbols: symbols.to_vec(),
            derived: Derived::default(),
        };
        let (mut next, mut index) = (0u32, 0usize);
        for (length, &count) in (1..=16u32).zip(counts) {
            code.offset[length as usize] = index as i32 - next as i32;
            for _ in 0..count {
                let symbol = *symbols.get(index)?;
                if length <= LOOKAHEAD_BITS {
                    let first = (next << (LOOKAHEAD_BITS - length)) as usize;
                    let all = code
                        .short
                        .get_mut(first..first + (1 << (LOOKAHEAD_BITS - length)))?;
                    all.fill(((length as u16) << 8) | u16::from(symbol));
                }
                next += 1;
                index += 1;
            }
            // The code of all ones is reserved.
            if count > 0 && next >= 1 << length {
                return None;
            }
            code.end[length as usize] = next << (16 - length);
            next <<= 1;
        }
        Some(code)
    }

    /// Whether it is the table of these codes.
    pub(super) fn is_of(&self, counts: &[u8; 16], symbols: &[u8]) -> bool {
        (&self.counts, &*self.symbols) == (counts, symbols)
    }

    /// Decodes the next symbol; needs up to 16 filled bits. `None` if the code is invalid.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut BitReader<'_>) -> Option<u8> {
        let [symbol, length] = self.short[bits.peek(LOOKAHEAD_BITS)].to_le_bytes();
        if length == 0 {
            let (after, symbol) = self.long_symbol(*bits)?;
            *bits = after;
            return Some(symbol);
        }
        bits.skip(length.into());
        Some(symbol)
    }

    /// The symbol whose code is a prefix of the [`LOOKAHEAD_BITS`] bits of `lookahead`, and its code length; `None` if the code is longer
    /// or invalid.
    pub(super) fn lookup(&self, lookahead: usize) -> Option<(u8, u32)> {
        let [symbol, length] = self.short[lookahead].to_le_bytes();
        (length > 0).then_some((symbol, length.into()))
    }

    /// Takes and returns the reader by value, so that it stays in registers in the caller.
    #[cold]
    fn long_symbol<'b>(&self, mut bits: BitReader<'b>) -> Option<(BitReader<'b>, u8)> {
        let found = bits.peek(16) as u32;
        let length = (LOOKAHEAD_BITS + 1..=16).find(|&length| found < self.end[length as usize])?;
        let index = (found >> (16 - length)) as i32 + self.offset[length as usize];
        bits.skip(length);
        let symbol = self.symbols.get(usize::try_from(index).ok()?)?;
        Some((bits, *symbol))
    }
}

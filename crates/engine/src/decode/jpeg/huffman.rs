//! Huffman codes, by tables of what the next bits mean.

use super::bits::BitReader;

/// Bits that the tables look at. Longer codes are rare.
pub(super) const LOOKAHEAD_BITS: u32 = 12;
/// A code.
///
/// # Source
///
/// ITU-T T.81, annexes C (codes) and F.2.2.3 (decoding).
#[derive(Clone, Debug)]
pub(super) struct HuffmanTable {
    /// For the next [`LOOKAHEAD_BITS`] bits: symbol and, above it, length of its code. 0 where the code is longer or none.
    short: Box<[u16]>,
    /// By length: the first code behind those of this length, in 16 bits.
    end: [u32; 17],
    /// By length: what a code's number of that length is short of the place of its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl HuffmanTable {
    /// The code with `counts[n]` codes of `n + 1` bits, whose symbols are given in order. `None` where there is no such code.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut code = Self {
            short: vec![0; 1 << LOOKAHEAD_BITS].into(),
            end: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
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
            // No code is all ones.
            if count > 0 && next >= 1 << length {
                return None;
            }
            code.end[length as usize] = next << (16 - length);
            next <<= 1;
        }
        Some(code)
    }

    /// The next symbol. Takes 16 of the filled bits at most.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut BitReader<'_>) -> Option<u8> {
        let [symbol, length] = self.short[bits.peek(LOOKAHEAD_BITS)].to_le_bytes();
        if length == 0 {
            let (behind, symbol) = self.long_symbol(*bits)?;
            *bits = behind;
            return Some(symbol);
        }
        bits.skip(length.into());
        Some(symbol)
    }

    /// The symbol whose code the [`LOOKAHEAD_BITS`] bits of `look` begin with, and the length of its code; `None` where it is longer or none.
    pub(super) fn lookup(&self, look: usize) -> Option<(u8, u32)> {
        let [symbol, length] = self.short[look].to_le_bytes();
        (length > 0).then_some((symbol, length.into()))
    }

    /// Takes the reader, and gives it back, so that it stays in registers where this is not called.
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

//! Huffman decoding of the AC coefficients of a block: a table gives the next two symbols together with the values after them.

use super::bits::BitReader;
use super::huffman::HuffmanTable;
use super::symbols::{Ac, BLOCK, END_OF_BLOCK, Step, Symbols as _};

/// Index bits of the table: both AC tables of a file fit the L1 cache.
const TABLE_BITS: u32 = 10;

/// By the next [`TABLE_BITS`] bits: one or two symbols in the first half, one symbol in the second half, which is used near the end of a
/// block.
pub(super) type Entries = [Entry; 2 << TABLE_BITS];

/// Decodes AC coefficients, often two at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct AcPairDecoder<'a> {
    table: &'a HuffmanTable,
    entries: &'a Entries,
}

/// One or two symbols and the values after them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    /// Bits of all of it; 0 if the index does not contain a symbol and its value.
    bits: u8,
    /// The [`Step::advance`] of the first symbol, and that of both.
    first_advance: u8,
    advance: u8,
    /// The value after the first symbol.
    first: i16,
    /// The value after the second symbol; that after the first if there is no second, or it ends the block.
    last: i16,
}

impl Entry {
    fn new((step, value): (Step, i32)) -> Self {
        Self {
            bits: step.bits as u8,
            first_advance: step.advance as u8,
            advance: step.advance as u8,
            first: value as i16,
            last: value as i16,
        }
    }

    fn and(self, (step, value): (Step, i32)) -> Self {
        Self {
            bits: self.bits + step.bits as u8,
            advance: self.advance + step.advance as u8,
            last: if step.advance == END_OF_BLOCK {
                self.first
            } else {
                value as i16
            },
            ..self
        }
    }
}

impl<'a> AcPairDecoder<'a> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        let entries = table.derived.pairs.get_or_init(|| entries(table));
        Self { table, entries }
    }

    /// Calls `put` with the zigzag index and value of each AC coefficient of a block, also more than once. Returns whether the block has any;
    /// `None` if the data are invalid.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_>, mut put: impl FnMut(usize, i32)) -> Option<bool> {
        let mut at = 1;
        // Before this limit, the first of two symbols cannot end beyond the block.
        self.steps::<0>(bits, &mut at, BLOCK - 16, &mut put)?;
        self.steps::<1>(bits, &mut at, BLOCK, &mut put)?;
        (at == BLOCK || at >= END_OF_BLOCK).then_some(at != 1 + END_OF_BLOCK)
    }

    /// Decodes symbols until they have advanced to `end`, by half `HALF` of the table.
    #[inline(always)]
    fn steps<const HALF: usize>(
        &self,
        bits: &mut BitReader<'_>,
        at: &mut u32,
        end: u32,
        put: &mut impl FnMut(usize, i32),
    ) -> Option<()> {
        while *at < end {
            bits.fill();
            // The filled bits suffice for two table entries and a third symbol of any length.
            for _ in 0..3 {
                let entry = self.entries[(HALF << TABLE_BITS) | bits.peek(TABLE_BITS)];
                if entry.bits == 0 {
                    let (after, value, advance) = Ac::long_step(self.table, *bits)?;
                    *bits = after;
                    *at += advance;
                    if *at <= BLOCK {
                        put(*at as usize - 1, value);
                    }
                    break;
                }
                bits.skip(entry.bits.into());
                let first = *at + u32::from(entry.first_advance);
                *at += u32::from(entry.advance);
                if first > BLOCK {
                    break;
                }
                put(first as usize - 1, entry.first.into());
                // Modulo the block, the advance of an end of block is nothing.
                put((*at - 1) as usize % BLOCK as usize, entry.last.into());
                if *at >= end {
                    break;
                }
            }
        }
        Some(())
    }
}

fn entries(table: &HuffmanTable) -> Box<Entries> {
    let mut entries = Box::new([Entry::default(); 2 << TABLE_BITS]);
    let (many, one) = entries.split_at_mut(1 << TABLE_BITS);
    for lookahead in 0..1 << TABLE_BITS {
        let Some(first) = Ac::contained(table, lookahead, TABLE_BITS) else {
            continue;
        };
        one[lookahead] = Entry::new(first);
        let rest = TABLE_BITS - first.0.bits;
        let second = Ac::contained(table, lookahead & ((1 << rest) - 1), rest);
        many[lookahead] = match second.filter(|_| first.0.advance < BLOCK) {
            Some(second) => one[lookahead].and(second),
            None => one[lookahead],
        };
    }
    entries
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::super::bits::Segments;
    use super::super::coefficients::AcDecoder;
    use super::super::{standard, table_cache};
    use super::*;

    /// The coefficients of up to 100 blocks in `data`, up to the first that is invalid.
    fn blocks(
        data: &[u8],
        mut read: impl FnMut(&mut BitReader<'_>, &mut [i32; 64]) -> Option<bool>,
    ) -> Vec<([i32; 64], bool)> {
        let mut scan: Vec<u8> = data
            .iter()
            .flat_map(|&byte| if byte == 0xFF { vec![byte, 0] } else { vec![byte] })
            .collect();
        scan.extend([0xFF, 0xD9]);
        let mut segments = Segments::default();
        segments.take(&scan, 1).expect("it ends with a marker");
        let mut bits = segments.readers().next().expect("one segment");
        let mut found = vec![];
        for _ in 0..100 {
            let mut block = [0; 64];
            let Some(any) = read(&mut bits, &mut block) else {
                break;
            };
            found.push((block, any));
        }
        found
    }

    proptest! {
        #[test]
        fn pairs_give_the_coefficients_of_single_symbols(data in vec(any::<u8>(), 0..500), which in 0..2_usize) {
            let (counts, symbols) = standard::AC[which];
            let table = table_cache::table(counts, symbols).expect("a valid table");
            let (pairs, single) = (AcPairDecoder::new(&table), AcDecoder::new(&table));
            let by_pairs = blocks(&data, |bits, block| pairs.read(bits, |at, value| block[at] = value));
            let by_single = blocks(&data, |bits, block| single.read(bits, |at, value| block[at] = value));
            prop_assert_eq!(by_pairs, by_single);
        }
    }
}

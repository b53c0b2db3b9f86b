//! Skipping of AC coefficients: a table gives the next two symbols.

use super::bits::BitReader;
use super::huffman::{HuffmanTable, LOOKAHEAD_BITS};
use super::symbols::{Ac, BLOCK, END_OF_BLOCK, Step, Symbols as _};

/// Maximum bits of a table entry: two entries fit the bits of one fill.
const MAX_ENTRY_BITS: u32 = 28;

/// By the next [`LOOKAHEAD_BITS`] bits, packed [`Step`]s, 0 if the bits do not contain a symbol: one or two symbols in the first half, one
/// symbol in the second half, which is used near the end of a block.
pub(super) type Skips = [u16; 2 << LOOKAHEAD_BITS];

/// Skips AC coefficients, often two at a time.
#[derive(Debug)]
pub(super) struct AcSkipper<'a> {
    table: &'a HuffmanTable,
    steps: &'a Skips,
}

impl<'a> AcSkipper<'a> {
    pub(super) fn new(table: &'a HuffmanTable) -> Self {
        let steps = table.derived.skips.get_or_init(|| skips(table));
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
        let step = Ac::step(self.table.symbol(&mut bits)?, 0)?;
        bits.skip(step.size);
        Some((bits, step.advance))
    }
}

fn skips(table: &HuffmanTable) -> Box<Skips> {
    let mut steps = Box::new([0; 2 << LOOKAHEAD_BITS]);
    let (many, one) = steps.split_at_mut(1 << LOOKAHEAD_BITS);
    for lookahead in 0..1 << LOOKAHEAD_BITS {
        let step = table.lookup(lookahead);
        let step = step.and_then(|(symbol, length)| Ac::step(symbol, length));
        let Some(step) = step.filter(|step| step.bits <= MAX_ENTRY_BITS) else {
            continue;
        };
        one[lookahead] = step.packed();
        let both = following(table, lookahead, step).map(|second| step.and(second));
        many[lookahead] = both
            .filter(|both| both.bits <= MAX_ENTRY_BITS)
            .unwrap_or(step)
            .packed();
    }
    steps
}

/// The symbol after `first`, if the rest of `lookahead` contains it.
fn following(table: &HuffmanTable, lookahead: usize, first: Step) -> Option<Step> {
    if first.advance >= BLOCK || first.bits >= LOOKAHEAD_BITS {
        return None;
    }
    let rest = (lookahead << first.bits) & ((1 << LOOKAHEAD_BITS) - 1);
    let (symbol, length) = table.lookup(rest)?;
    (length <= LOOKAHEAD_BITS - first.bits).then(|| Ac::step(symbol, length))?
}

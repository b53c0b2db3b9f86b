//! The coefficients of a block behind its first: read, or passed over.
//!
//! Both look at the next bits and find in a table all that they say: not only the symbol, but the number behind it, too, or even
//! what follows.

use super::bits::Bits;
use super::huffman::{Code, LOOK};

/// Bits that readers look at: as many as leave room for more than their tables in the nearest cache. Skipping takes [`LOOK`].
const SEEN: u32 = 10;
/// Coefficients of a block.
const BLOCK: u32 = 64;
/// What the end of a block adds to the number of the coefficient, beyond all that others can add up to.
const END: u32 = 2 * BLOCK;
/// Bits of a step, at most: two of them fit what is filled at a time.
const STEP: u32 = 28;

/// What a symbol and the number behind it do.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Bits that they take.
    bits: u32,
    /// Coefficients passed, with the one that is given a value; [`END`] where the rest of the block is zero.
    passed: u32,
    /// Bits of the value.
    size: u32,
}

impl Step {
    fn of(symbol: u8, length: u32) -> Option<Self> {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let passed = match (run, size) {
            (0, 0) => END,
            (15, 0) => 16,
            (_, 0) => return None,
            _ => run + 1,
        };
        let bits = length + size;
        Some(Self { bits, passed, size })
    }

    /// The step that `look` begins with.
    fn seen(code: &Code, look: usize) -> Option<Self> {
        let (symbol, length) = code.seen(look)?;
        Self::of(symbol, length)
    }

    /// Both as one step.
    fn and(self, second: Self) -> Self {
        Self {
            bits: self.bits + second.bits,
            passed: self.passed + second.passed,
            size: 0,
        }
    }

    /// Bits in the lower byte, in the upper one what is passed.
    fn packed(self) -> u16 {
        (self.bits | (self.passed << 8)) as u16
    }
}

/// Reads the first coefficients of blocks.
#[derive(Debug)]
pub(super) struct First<'a> {
    code: &'a Code,
    /// For the next bits, how many of them it takes, and from the seventeenth bit on the number; 0 where not all of it can be seen.
    numbers: Box<[u32; 1 << SEEN]>,
}

impl<'a> First<'a> {
    pub(super) fn new(code: &'a Code) -> Self {
        let mut numbers = Box::new([0; 1 << SEEN]);
        for (look, entry) in numbers.iter_mut().enumerate() {
            if let Some((size, length)) = code.seen(look << (LOOK - SEEN)) {
                *entry = seen(look, length, size.into()).unwrap_or(0);
            }
        }
        Self { code, numbers }
    }

    /// The difference from the one before.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Option<i32> {
        bits.fill();
        let entry = self.numbers[bits.peek(SEEN)];
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
    fn long_step<'b>(&self, mut bits: Bits<'b>) -> Option<(Bits<'b>, i32)> {
        let size = u32::from(self.code.symbol(&mut bits)?);
        (size <= 15).then(|| {
            let number = bits.number(size);
            (bits, number)
        })
    }
}

/// Reads the other coefficients.
#[derive(Debug)]
pub(super) struct Others<'a> {
    code: &'a Code,
    /// For the next bits, a packed step and above it the value; 0 where not all of it can be seen.
    steps: Box<[u32; 1 << SEEN]>,
}

impl<'a> Others<'a> {
    pub(super) fn new(code: &'a Code) -> Self {
        let mut steps = Box::new([0; 1 << SEEN]);
        for (look, entry) in steps.iter_mut().enumerate() {
            if let Some((symbol, length)) = code.seen(look << (LOOK - SEEN))
                && let Some(step) = Step::of(symbol, length)
                && let Some(seen) = seen(look, length, step.size)
            {
                *entry = seen | u32::from(step.packed());
            }
        }
        Self { code, steps }
    }

    /// Calls `add` with each coefficient of a block and its place in the order of coding, and says whether there was any but zeros at the
    /// end. `None` where they are none.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut Bits<'_>, mut add: impl FnMut(usize, i32)) -> Option<bool> {
        let mut at = 1;
        while at < BLOCK {
            bits.fill();
            // Enough for two steps that are seen, and a third of any length.
            for _ in 0..3 {
                let entry = self.steps[bits.peek(SEEN)];
                let (value, passed) = if entry == 0 {
                    let (behind, value, passed) = self.long_step(*bits)?;
                    *bits = behind;
                    (value, passed)
                } else {
                    bits.skip(entry & 0xFF);
                    (entry.cast_signed() >> 16, (entry >> 8) & 0xFF)
                };
                at += passed;
                if at > BLOCK {
                    break;
                }
                // Where zeros were passed, one more zero.
                add(at as usize - 1, value);
                if at == BLOCK || entry == 0 {
                    break;
                }
            }
        }
        (at == BLOCK || at >= END).then_some(at != 1 + END)
    }

    /// The reader behind it, the value, and what is passed.
    #[cold]
    fn long_step<'b>(&self, mut bits: Bits<'b>) -> Option<(Bits<'b>, i32, u32)> {
        let step = Step::of(self.code.symbol(&mut bits)?, 0)?;
        let number = bits.number(step.size);
        Some((bits, number, step.passed))
    }
}

/// Reads coefficients of blocks in progressive scans, where a block's end may stand for those of many.
#[derive(Debug)]
pub(super) struct BandDecoder<'a> {
    code: &'a Code,
    /// As of [`Others`]; the value of an end is the number of blocks to come that it stands for, too.
    steps: Box<[u32; 1 << SEEN]>,
}

impl<'a> BandDecoder<'a> {
    pub(super) fn new(code: &'a Code) -> Self {
        let mut steps = Box::new([0; 1 << SEEN]);
        for (look, entry) in steps.iter_mut().enumerate() {
            if let Some((symbol, length)) = code.seen(look << (LOOK - SEEN)) {
                let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
                let is_end = size == 0 && zeros < 15;
                let (passed, size) = if is_end { (END, zeros) } else { (zeros + 1, size) };
                let Some(rest) = SEEN.checked_sub(length + size) else {
                    continue;
                };
                let bits = (look >> rest) as u32 & ((1 << size) - 1);
                let value = if is_end {
                    blocks(bits, size)
                } else {
                    number(bits, size).cast_unsigned()
                };
                *entry = (length + size) | (passed << 8) | (value << 16);
            }
        }
        Self { code, steps }
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
        bits: &mut Bits<'_>,
        (first, last): (usize, usize),
        mut put: impl FnMut(usize, i32),
    ) -> Option<u32> {
        let (mut at, end) = (first as u32, last as u32 + 1);
        while at < end {
            bits.fill();
            // As many as of a block that is coded at once.
            for _ in 0..3 {
                let entry = self.steps[bits.peek(SEEN)];
                let (value, passed) = if entry == 0 {
                    let (behind, value, passed) = self.long_step(*bits)?;
                    *bits = behind;
                    (value, passed)
                } else {
                    bits.skip(entry & 0xFF);
                    (entry.cast_signed() >> 16, (entry >> 8) & 0xFF)
                };
                if passed == END {
                    return Some(value.cast_unsigned());
                }
                at += passed;
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

    /// The reader behind it, the value, and what is passed.
    #[cold]
    fn long_step<'b>(&self, mut bits: Bits<'b>) -> Option<(Bits<'b>, i32, u32)> {
        let symbol = u32::from(self.code.symbol(&mut bits)?);
        let (zeros, size) = (symbol >> 4, symbol & 15);
        if size == 0 && zeros < 15 {
            let count = blocks(bits.peek(zeros) as u32, zeros);
            bits.skip(zeros);
            return Some((bits, count.cast_signed(), END));
        }
        let number = bits.number(size);
        Some((bits, number, zeros + 1))
    }
}

/// The number of blocks behind this one that an end of `size` bits stands for.
#[inline(always)]
pub(super) fn blocks(bits: u32, size: u32) -> u32 {
    (1 << size) + bits - 1
}

/// Passes over coefficients, often two at a time.
#[derive(Debug)]
pub(super) struct Skipper<'a> {
    code: &'a Code,
    /// For the next bits, packed steps, 0 where none can be seen: one or two in the first half, one alone in the second, which is for the
    /// end of a block.
    steps: Box<[u16; 2 << LOOK]>,
}

impl<'a> Skipper<'a> {
    pub(super) fn new(code: &'a Code) -> Self {
        let mut steps = Box::new([0; 2 << LOOK]);
        let (many, one) = steps.split_at_mut(1 << LOOK);
        for look in 0..1 << LOOK {
            let Some(step) = Step::seen(code, look).filter(|step| step.bits <= STEP) else {
                continue;
            };
            one[look] = step.packed();
            let both = following(code, look, step).map(|second| step.and(second));
            many[look] = both.filter(|both| both.bits <= STEP).unwrap_or(step).packed();
        }
        Self { code, steps }
    }

    /// Passes over the coefficients of a block. `None` where they are none.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut Bits<'_>) -> Option<()> {
        let mut at = 1;
        while at < BLOCK {
            bits.fill();
            // While a step of any length ends within the block, so does the first of two.
            let half = usize::from(at >= BLOCK - 16) << LOOK;
            let entry = u32::from(self.steps[half | bits.peek(LOOK)]);
            if entry == 0 {
                let (behind, passed) = self.long_step(*bits)?;
                *bits = behind;
                at += passed;
            } else {
                bits.skip(entry & 0xFF);
                at += entry >> 8;
            }
        }
        (at == BLOCK || at >= END).then_some(())
    }

    /// The reader behind it, and what is passed.
    #[cold]
    fn long_step<'b>(&self, mut bits: Bits<'b>) -> Option<(Bits<'b>, u32)> {
        let step = Step::of(self.code.symbol(&mut bits)?, 0)?;
        bits.skip(step.size);
        Some((bits, step.passed))
    }
}

/// The bits of a symbol and of the number behind it, and the number, as in a table; `None` where `look` does not hold all of them.
fn seen(look: usize, length: u32, size: u32) -> Option<u32> {
    let rest = SEEN.checked_sub(length + size)?;
    let bits = (look >> rest) as u32 & ((1 << size) - 1);
    Some((length + size) | (number(bits, size).cast_unsigned() << 16))
}

/// The step behind `first`, if its symbol can be seen in the rest of `look`.
fn following(code: &Code, look: usize, first: Step) -> Option<Step> {
    if first.passed >= BLOCK || first.bits >= LOOK {
        return None;
    }
    let rest = (look << first.bits) & ((1 << LOOK) - 1);
    let (symbol, length) = code.seen(rest)?;
    (length <= LOOK - first.bits).then(|| Step::of(symbol, length))?
}

/// The number that `size` bits stand for: negative ones begin with 0.
///
/// # Source
///
/// ITU-T T.81, annex F.2.2.1, figure F.12 (EXTEND).
#[inline]
pub(super) fn number(bits: u32, size: u32) -> i32 {
    let is_negative = bits < (1 << size) >> 1;
    let below = if is_negative { (1 << size) - 1 } else { 0 };
    bits.cast_signed() - below
}

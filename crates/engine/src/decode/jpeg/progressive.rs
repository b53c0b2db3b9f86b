//! Decodes one scan of several to coefficients.
//!
//! # Source
//!
//! ITU-T T.81, annex G.1.2 and G.2.

use super::bits::{BitReader, Segments};
use super::buffer::{BlockMut, Coefficients, ComponentBuffer};
use super::coefficients::{AcDecoder, BandDecoder, DcDecoder, eob_run};
use super::full::idct::STORAGE_ORDER;
use super::huffman::HuffmanTable;
use super::scan::{self, Multiversion};
use super::tables::{Scan, ScanComponent};
use super::{BLOCK, Error};

/// How far the data of a scan reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Whether they end before the last MCU.
    pub(super) is_short: bool,
    /// The last MCU row of the image for which there are data.
    pub(super) last_row: usize,
}

/// Decodes a scan into `planes`, the buffers of all components.
///
/// # Errors
///
/// [`Error::Broken`] if the data are invalid, or if they end early, except in AC and refinement scans of a progressive file.
pub(super) fn read(
    planes: &mut [ComponentBuffer],
    scan: &Scan<'_>,
    segments: &Segments,
    interval: usize,
    mcus: (usize, usize),
    is_progressive: bool,
) -> Result<Extent, Error> {
    const DAMAGED: Error = Error::Broken("the entropy-coded data are corrupt");
    let pass = ScanPass {
        planes,
        components: &scan.components,
        segments,
        interval,
        mcus,
    };
    let (first, _) = scan.band;
    let low = scan.low;
    let extent = if !is_progressive {
        let ac = scan
            .components
            .iter()
            .map(|one| one.ac.as_deref().map(AcDecoder::new));
        let decoder = Sequential {
            dc: DcFirst::new(scan).ok_or(DAMAGED)?,
            ac: ac.collect::<Option<_>>().ok_or(DAMAGED)?,
        };
        scan::dispatch(DecodePass { pass, decoder })
    } else if first == 0 && scan.high == 0 {
        let decoder = DcFirst::new(scan).ok_or(DAMAGED)?;
        scan::dispatch(DecodePass { pass, decoder })
    } else if first == 0 {
        let decoder = DcRefine { bit: 1 << low };
        scan::dispatch(DecodePass { pass, decoder })
    } else {
        let code = scan.components[0].ac.as_deref().ok_or(DAMAGED)?;
        let (band, run) = (scan.band, 0);
        if scan.high == 0 {
            let decoder = AcFirst {
                decoder: BandDecoder::new(code),
                band,
                low,
                run,
            };
            scan::dispatch(DecodePass { pass, decoder })
        } else {
            let decoder = AcRefine {
                table: code,
                band,
                low,
                run,
            };
            scan::dispatch(DecodePass { pass, decoder })
        }
    };
    let extent = extent.ok_or(DAMAGED)?;
    let is_detail = is_progressive && (first > 0 || scan.high > 0);
    if extent.is_short && !is_detail {
        return Err(Error::Broken("the entropy-coded data end early"));
    }
    Ok(extent)
}

/// Decodes the blocks of one kind of scan.
trait BlockDecoder {
    /// Resets the state at a restart marker.
    fn restart(&mut self);

    /// Decodes the scan's part of a block of its component `number`. `None` if the data are invalid.
    fn block(&mut self, bits: &mut BitReader<'_>, number: usize, block: BlockMut<'_>) -> Option<()>;
}

/// Sets the AC coefficient with zigzag index `k`. Takes and returns the bit mask of nonzero coefficients.
#[inline(always)]
fn put(values: &mut Coefficients, nonzero: u64, k: usize, value: i16) -> u64 {
    values[usize::from(STORAGE_ORDER[k % BLOCK]) % BLOCK] = value;
    (nonzero & !(1 << k)) | (u64::from(value != 0) << k)
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

struct ScanPass<'a> {
    planes: &'a mut [ComponentBuffer],
    components: &'a [ScanComponent],
    segments: &'a Segments,
    /// MCUs per segment.
    interval: usize,
    /// MCUs per row, and rows.
    mcus: (usize, usize),
}

struct DecodePass<'a, C> {
    pass: ScanPass<'a>,
    decoder: C,
}

impl<C: BlockDecoder> Multiversion for DecodePass<'_, C> {
    type Output = Option<Extent>;

    #[inline(always)]
    fn work(self) -> Option<Extent> {
        let Self { pass, mut decoder } = self;
        let (columns, rows) = pass.mcus;
        let mcus = columns * rows;
        let mut extent = Extent {
            is_short: false,
            last_row: 0,
        };
        for (piece, mut bits) in pass.segments.readers().enumerate() {
            decoder.restart();
            let first = piece * pass.interval;
            let (mut row, mut column) = (first / columns, first % columns);
            for _ in first..(first + pass.interval).min(mcus) {
                // As in libjpeg, the first MCU without complete data is decoded as if zeros followed.
                if !bits.has_not_overrun() {
                    extent.is_short = true;
                    break;
                }
                extent.last_row = row;
                if let [ScanComponent { index, .. }] = *pass.components {
                    decoder.block(&mut bits, 0, pass.planes[index].block_mut(row, column))?;
                } else {
                    for (number, &ScanComponent { index, .. }) in pass.components.iter().enumerate() {
                        let plane = &mut pass.planes[index];
                        let (across, down) = plane.factors;
                        for y in row * down..(row + 1) * down {
                            for x in column * across..(column + 1) * across {
                                decoder.block(&mut bits, number, plane.block_mut(y, x))?;
                            }
                        }
                    }
                }
                column += 1;
                if column == columns {
                    (column, row) = (0, row + 1);
                }
            }
            extent.is_short |= !bits.has_not_overrun();
        }
        if let [ScanComponent { index, .. }] = *pass.components {
            extent.last_row /= pass.planes[index].factors.1;
        }
        Some(extent)
    }
}

/// First scan of DC coefficients (upper bits).
struct DcFirst<'a> {
    decoders: Vec<DcDecoder<'a>>,
    /// By component: the DC coefficient of the previous block.
    previous: Vec<i32>,
    low: u32,
}

impl<'a> DcFirst<'a> {
    fn new(scan: &'a Scan<'_>) -> Option<Self> {
        let decoders = scan
            .components
            .iter()
            .map(|one| one.dc.as_deref().map(DcDecoder::new));
        Some(Self {
            decoders: decoders.collect::<Option<_>>()?,
            previous: vec![0; scan.components.len()],
            low: scan.low,
        })
    }
}

impl BlockDecoder for DcFirst<'_> {
    #[inline(always)]
    fn restart(&mut self) {
        self.previous.fill(0);
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, number: usize, block: BlockMut<'_>) -> Option<()> {
        let previous = &mut self.previous[number];
        *previous = previous.checked_add(self.decoders[number].read(bits)?)?;
        block.values[0] = (*previous << self.low) as i16;
        Some(())
    }
}

/// All coefficients, in a sequential scan.
struct Sequential<'a> {
    dc: DcFirst<'a>,
    ac: Vec<AcDecoder<'a>>,
}

impl BlockDecoder for Sequential<'_> {
    #[inline(always)]
    fn restart(&mut self) {
        self.dc.restart();
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, number: usize, block: BlockMut<'_>) -> Option<()> {
        let previous = &mut self.dc.previous[number];
        *previous = previous.wrapping_add(self.dc.decoders[number].read(bits)?);
        block.values[0] = *previous as i16;
        let mut found = *block.nonzero;
        self.ac[number].read(bits, |k, value| {
            if value != 0 {
                found = put(block.values, found, k, value as i16);
            }
        })?;
        *block.nonzero = found;
        Some(())
    }
}

/// Refinement scan of DC coefficients: one more bit.
struct DcRefine {
    bit: i16,
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

/// First scan of a band of AC coefficients (upper bits).
struct AcFirst<'a> {
    decoder: BandDecoder<'a>,
    band: (usize, usize),
    low: u32,
    /// Further blocks of the end-of-band run.
    run: u32,
}

impl BlockDecoder for AcFirst<'_> {
    #[inline(always)]
    fn restart(&mut self) {
        self.run = 0;
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, _: usize, block: BlockMut<'_>) -> Option<()> {
        if self.run > 0 {
            self.run -= 1;
            return Some(());
        }
        let low = self.low;
        let BlockMut { values, nonzero } = block;
        let mut found = *nonzero;
        self.run = self.decoder.read(bits, self.band, |k, value| {
            found = put(values, found, k, (value << low) as i16);
        })?;
        *nonzero = found;
        Some(())
    }
}

/// Refinement scan of a band of AC coefficients: one more bit of nonzero ones, and new ones of magnitude 1.
struct AcRefine<'a> {
    table: &'a HuffmanTable,
    band: (usize, usize),
    low: u32,
    /// Further blocks of the end-of-band run, which have no new coefficients.
    run: u32,
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

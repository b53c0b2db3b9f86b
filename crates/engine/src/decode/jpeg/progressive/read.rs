//! Decodes one scan into coefficient buffers.

use super::super::Error;
use super::super::bits::Segments;
use super::super::coefficients::{AcDecoder, BandDecoder};
use super::super::component_buffer::ComponentBuffer;
use super::super::scan::{self, Multiversion};
use super::super::tables::{Scan, ScanComponent};
use super::block::BlockDecoder;
use super::first::{AcFirst, DcFirst, Sequential};
use super::refine::{AcRefine, DcRefine};

/// How far the data of a scan reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Extent {
    /// Whether they end before the last MCU.
    pub(in super::super) is_short: bool,
    /// The last MCU row of the image for which there are data.
    pub(in super::super) last_row: usize,
}

/// Decodes a scan into `planes`, the buffers of all components.
///
/// # Errors
///
/// [`Error::Broken`] if the data are invalid, or if they end early, except in AC and refinement scans of a progressive file.
pub(in super::super) fn read(
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

//! The entropy-coded data of an image's only scan: units of blocks, row by row, in pieces between restart markers.

use super::bits::{BitReader, Segments};
use super::header::{Frame, Header};
use super::tables::Scan;
use super::{Error, SIDE};

/// How blocks lie in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct McuGrid {
    /// Blocks of a mcu, across and down, of the component that has most.
    pub(super) mcu: (usize, usize),
    /// Units in a row, and rows.
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl McuGrid {
    /// The grid of an image.
    pub(super) fn of(frame: &Frame) -> Self {
        let components = || frame.components.iter();
        let mcu = (
            components().map(|one| one.across).max().unwrap_or(1),
            components().map(|one| one.down).max().unwrap_or(1),
        );
        Self {
            mcu,
            columns: frame.width.div_ceil(SIDE * mcu.0),
            rows: frame.height.div_ceil(SIDE * mcu.1),
        }
    }
}

/// What is made of blocks.
pub(super) trait McuReader {
    /// Begins anew: no block is before the next one.
    fn restart(&mut self);

    /// Reads the unit in `column`. `None` where it is broken.
    fn decode_mcu(&mut self, bits: &mut BitReader<'_>, column: usize) -> Option<()>;

    /// Takes note of the end of row `row` of units.
    fn end_of_mcu_row(&mut self, row: usize);
}

/// Work that is compiled a second time, for machines with more instructions. Whatever it calls often is to be inlined, because what is not
/// is compiled for any machine.
pub(super) trait Multiversion {
    type Made;

    fn work(self) -> Self::Made;
}

/// Does `work`.
pub(super) fn dispatch<W: Multiversion>(work: W) -> W::Made {
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::Avx2::detect().is_some() {
        #[allow(unsafe_code, reason = "the same code with more instructions to choose from")]
        // SAFETY: `detect` found AVX2, BMI1, BMI2 and LZCNT, which the function is compiled for.
        return unsafe { dispatch_to_avx2(work) };
    }
    work.work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn dispatch_to_avx2<W: Multiversion>(work: W) -> W::Made {
    work.work()
}

/// The segments of a scan of `mcus` units, and what follows the scan.
pub(super) fn segments<'a>(
    scan: &Scan<'a>,
    mcus: usize,
    segments: &mut Segments,
) -> Result<(usize, &'a [u8]), Error> {
    let interval = match scan.restart_interval {
        0 => mcus,
        interval => interval,
    };
    let rest = segments.take(scan.data, mcus.div_ceil(interval))?;
    Ok((interval, rest))
}

/// Reads the only scan of an image, to the end of the file.
///
/// # Errors
///
/// [`Error::Broken`] where the data are broken or end early, or another scan follows; [`Error::Truncated`] where the file does.
pub(super) fn read(header: &Header<'_>, scan: &Scan<'_>, reader: &mut impl McuReader) -> Result<(), Error> {
    let grid = McuGrid::of(&header.frame);
    let mut taken = Segments::default();
    let (interval, mut rest) = segments(scan, grid.columns * grid.rows, &mut taken)?;
    if header.tables.clone().next_scan(&mut rest)?.is_some() {
        return Err(Error::Broken("a scan follows the last one"));
    }
    let read = dispatch(Read {
        segments: &taken,
        interval,
        grid,
        reader,
    });
    read.ok_or(Error::Broken("its coded data are damaged or end early"))
}

struct Read<'a, R> {
    segments: &'a Segments,
    /// Units of a segment.
    interval: usize,
    grid: McuGrid,
    reader: &'a mut R,
}

impl<R: McuReader> Multiversion for Read<'_, R> {
    type Made = Option<()>;

    #[inline(always)]
    fn work(self) -> Option<()> {
        let Self { grid, reader, .. } = self;
        let mcus = grid.columns * grid.rows;
        let (mut column, mut row) = (0, 0);
        for (piece, mut bits) in self.segments.readers().enumerate() {
            reader.restart();
            let first = piece * self.interval;
            for _ in first..(first + self.interval).min(mcus) {
                reader.decode_mcu(&mut bits, column)?;
                column += 1;
                if column == grid.columns {
                    reader.end_of_mcu_row(row);
                    (column, row) = (0, row + 1);
                }
            }
            bits.has_not_overrun().then_some(())?;
        }
        Some(())
    }
}

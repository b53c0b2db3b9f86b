//! Decodes the entropy-coded data of a single scan: MCUs, row by row, in segments between restart markers.

use super::Error;
use super::bits::{BitReader, Segments};
use super::frame::McuGrid;
use super::header::Header;
use super::tables::Scan;

/// A decoder of MCUs.
pub(super) trait McuReader {
    /// Resets the DC predictions at a restart marker.
    fn restart(&mut self);

    /// Decodes the MCU in `column`. `None` if the data are invalid.
    fn decode_mcu(&mut self, bits: &mut BitReader<'_>, column: usize) -> Option<()>;

    /// Called after the last MCU of row `row`.
    fn end_of_mcu_row(&mut self, row: usize);
}

/// A function compiled twice: for the baseline and for AVX2 with bit manipulation. Hot callees must be inlined to be compiled with the
/// additional instructions.
pub(super) trait Multiversion {
    type Output;

    fn work(self) -> Self::Output;
}

/// Runs `work`, compiled for AVX2 if available.
pub(super) fn dispatch<W: Multiversion>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::Avx2::detect().is_some() {
        #[allow(
            unsafe_code,
            reason = "calls the same code compiled with more target features"
        )]
        // SAFETY: `detect` found AVX2, BMI1, BMI2 and LZCNT, which the function is compiled for.
        return unsafe { dispatch_to_avx2(work) };
    }
    work.work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn dispatch_to_avx2<W: Multiversion>(work: W) -> W::Output {
    work.work()
}

/// Reads the segments of a scan of `mcus` MCUs. Returns the number of MCUs per segment, and the data after the scan.
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

/// Decodes the single scan of an image, and checks the rest of the file.
///
/// # Errors
///
/// [`Error::Broken`] if the data are invalid or end early, or if another scan follows; [`Error::Truncated`] if the file ends early.
pub(super) fn read(header: &Header<'_>, scan: &Scan<'_>, reader: &mut impl McuReader) -> Result<(), Error> {
    let grid = McuGrid::of(&header.frame);
    let mut taken = Segments::default();
    let (interval, mut rest) = segments(scan, grid.columns * grid.rows, &mut taken)?;
    if header.tables.clone().next_scan(&mut rest)?.is_some() {
        return Err(Error::Broken("there is a scan after the last one"));
    }
    let read = dispatch(Read {
        segments: &taken,
        interval,
        grid,
        reader,
    });
    read.ok_or(Error::Broken("the entropy-coded data are corrupt or end early"))
}

struct Read<'a, R> {
    segments: &'a Segments,
    /// MCUs per segment.
    interval: usize,
    grid: McuGrid,
    reader: &'a mut R,
}

impl<R: McuReader> Multiversion for Read<'_, R> {
    type Output = Option<()>;

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

//! The entropy-coded data of a scan: units of blocks, row by row, in pieces between restart markers.

use super::SIDE;
use super::bits::{Bits, Segments};
use super::header::{Component, Header};

/// How blocks lie in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// Blocks of a unit, across and down, of the component that has most.
    pub(super) unit: (usize, usize),
    /// Units in a row, and rows.
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Grid {
    /// The grid of an image. `None` of one without components.
    pub(super) fn of(header: &Header<'_>) -> Option<Self> {
        let most = |of: fn(&Component) -> usize| header.components.iter().map(of).max();
        let unit = (
            most(|component| component.across)?,
            most(|component| component.down)?,
        );
        Some(Self {
            unit,
            columns: header.width.div_ceil(SIDE * unit.0),
            rows: header.height.div_ceil(SIDE * unit.1),
        })
    }
}

/// What is done with a scan.
pub(super) trait Reader {
    /// Begins anew: no block is before the next one.
    fn restart(&mut self);

    /// Reads the unit in `column`. `None` where it is broken.
    fn unit(&mut self, bits: &mut Bits<'_>, column: usize) -> Option<()>;

    /// Takes note of the end of row `row` of units.
    fn end_of_row(&mut self, row: usize);
}

/// Reads the scan behind `header`. `None` where the data are broken or end early.
pub(super) fn read(header: &Header<'_>, grid: Grid, reader: &mut impl Reader) -> Option<()> {
    #[cfg(target_arch = "x86_64")]
    if crate::machine::Avx2::detect().is_some() {
        #[allow(unsafe_code, reason = "the same code with more instructions to choose from")]
        // SAFETY: `detect` found AVX2, BMI1, BMI2 and LZCNT, which the function is compiled for.
        return unsafe { read_with_avx2(header, grid, reader) };
    }
    read_anywhere(header, grid, reader)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn read_with_avx2(header: &Header<'_>, grid: Grid, reader: &mut impl Reader) -> Option<()> {
    read_anywhere(header, grid, reader)
}

/// Whatever this calls often is to be inlined, because what is not is compiled for any machine.
#[inline(always)]
fn read_anywhere(header: &Header<'_>, grid: Grid, reader: &mut impl Reader) -> Option<()> {
    let units = grid.columns * grid.rows;
    let segments = Segments::of(header.data)?;
    let interval = match header.restart_interval {
        0 => units,
        interval => interval,
    };
    let pieces = segments.readers();
    if pieces.len() != units.div_ceil(interval) {
        return None;
    }
    let (mut column, mut row) = (0, 0);
    for (piece, mut bits) in pieces.enumerate() {
        reader.restart();
        let first = piece * interval;
        for _ in first..(first + interval).min(units) {
            reader.unit(&mut bits, column)?;
            column += 1;
            if column == grid.columns {
                reader.end_of_row(row);
                (column, row) = (0, row + 1);
            }
        }
        bits.is_within().then_some(())?;
    }
    Some(())
}

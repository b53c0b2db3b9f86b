//! The entropy-coded data of a scan to rows of means.

use super::super::SIDE;
use super::super::bits::Bits;
use super::super::coefficients::{First, Others, Skipper};
use super::super::header::{Component, Header};
use super::super::scan::{self, Grid, Reader};
use super::basis::Basis;

/// The means of one component in a row of units, around 0, in rows.
#[derive(Debug)]
pub(super) struct Strip {
    stride: usize,
    values: Vec<f32>,
}

impl Strip {
    /// A row of means.
    pub(super) fn line(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.stride]
    }
}

/// The components while they are decoded, and what takes their rows.
struct Strips<'a, T> {
    works: Vec<Work<'a>>,
    /// Rows of means in a row of units.
    rows: usize,
    take: T,
}

/// A component while it is decoded.
struct Work<'a> {
    component: &'a Component,
    basis: Basis,
    first: First<'a>,
    others: Use<'a>,
    strip: Strip,
    /// The first coefficient of the block before.
    before: i32,
}

/// What becomes of a block's coefficients behind the first.
enum Use<'a> {
    /// A mean is of a whole block: they do not matter.
    Skip(Skipper<'a>),
    Add(Others<'a>),
}

/// Decodes the scan behind `header`, and gives `take` the strips of its components for each row of means of `scale` by `scale` pixels, with
/// the number of the row in them.
///
/// `None` where a component has no such means, or the data are broken or end early.
pub(super) fn rows(header: &Header<'_>, scale: usize, take: impl FnMut(&[&Strip], usize)) -> Option<()> {
    let grid = Grid::of(header)?;
    let work = |component| Work::new(component, scale, grid);
    let mut strips = Strips {
        works: header.components.iter().map(work).collect::<Option<_>>()?,
        rows: SIDE * grid.unit.1 / scale,
        take,
    };
    scan::read(header, grid, &mut strips)
}

impl<T: FnMut(&[&Strip], usize)> Reader for Strips<'_, T> {
    fn restart(&mut self) {
        self.works.iter_mut().for_each(|work| work.before = 0);
    }

    #[inline(always)]
    fn unit(&mut self, bits: &mut Bits<'_>, column: usize) -> Option<()> {
        for work in &mut self.works {
            work.unit(bits, column)?;
        }
        Some(())
    }

    fn end_of_row(&mut self, _: usize) {
        let strips: Vec<&Strip> = self.works.iter().map(|work| &work.strip).collect();
        (0..self.rows).for_each(|row| (self.take)(&strips, row));
    }
}

impl<'a> Work<'a> {
    fn new(component: &'a Component, scale: usize, grid: Grid) -> Option<Self> {
        // A component of fewer blocks has larger ones, in pixels of the image.
        let means = |most: usize, own: usize| {
            let pixels = most.is_multiple_of(own).then_some(SIDE * most / own)?;
            let means = pixels / scale;
            (means > 0 && SIDE.is_multiple_of(means)).then_some(means)
        };
        let across = means(grid.unit.0, component.across)?;
        let down = means(grid.unit.1, component.down)?;
        let stride = grid.columns * component.across * across;
        Some(Self {
            component,
            basis: Basis::new(across, down, &component.quantization),
            first: First::new(&component.dc),
            others: if across * down == 1 {
                Use::Skip(Skipper::new(&component.ac))
            } else {
                Use::Add(Others::new(&component.ac))
            },
            strip: Strip {
                stride,
                values: vec![0.0; stride * component.down * down],
            },
            before: 0,
        })
    }

    /// Decodes the component's blocks of the unit in `column`.
    #[inline(always)]
    fn unit(&mut self, bits: &mut Bits<'_>, column: usize) -> Option<()> {
        let Component { across, down, .. } = *self.component;
        for y in 0..down {
            for x in column * across..(column + 1) * across {
                match (self.basis.across, self.basis.down) {
                    (1, 1) => self.block::<1, 1>(bits, x, y),
                    (1, 2) => self.block::<1, 2>(bits, x, y),
                    (2, 1) => self.block::<2, 1>(bits, x, y),
                    (2, 2) => self.block::<2, 2>(bits, x, y),
                    (2, 4) => self.block::<2, 4>(bits, x, y),
                    (4, 2) => self.block::<4, 2>(bits, x, y),
                    (4, 4) => self.block::<4, 4>(bits, x, y),
                    _ => None,
                }?;
            }
        }
        Some(())
    }

    /// Decodes the component's block in column `x` and row `y` of the strip.
    #[inline(always)]
    fn block<const ACROSS: usize, const DOWN: usize>(
        &mut self,
        bits: &mut Bits<'_>,
        x: usize,
        y: usize,
    ) -> Option<()> {
        // Of a broken file, the sum may leave the range of its type.
        self.before = self.before.wrapping_add(self.first.read(bits)?);
        let waves = self.basis.waves::<ACROSS, DOWN>()?;
        let mut sums = [[0.0; ACROSS]; DOWN];
        let mut add = |place: usize, value: i32| {
            for (sums, waves) in sums.iter_mut().zip(&waves[place]) {
                for (sum, wave) in sums.iter_mut().zip(waves) {
                    *sum += value as f32 * wave;
                }
            }
        };
        add(0, self.before);
        match &self.others {
            Use::Skip(skipper) => skipper.skip(bits)?,
            Use::Add(others) => others.read(bits, add).map(|_| ())?,
        }
        let Strip { stride, values } = &mut self.strip;
        for (row, sums) in sums.iter().enumerate() {
            let start = (y * DOWN + row) * *stride + x * ACROSS;
            values[start..start + ACROSS].copy_from_slice(sums);
        }
        Some(())
    }
}

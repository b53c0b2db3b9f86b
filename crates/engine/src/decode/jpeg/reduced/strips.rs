//! Blocks to rows of means.

use super::super::bits::Bits;
use super::super::buffer::CoefficientBuffer;
use super::super::coefficients::{First, Others, Skipper};
use super::super::header::{Component, Header};
use super::super::scan::{Grid, Reader};
use super::super::source::{Loader, Source};
use super::super::tables::Coded;
use super::super::whole::transform::PLACES;
use super::super::{BLOCK, Error, SIDE};
use super::basis::{Basis, Waves};

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
    works: Vec<Work>,
    /// Of the components, where they are read from their only scan.
    coders: Vec<Coder<'a>>,
    /// Rows of means in a row of units.
    rows: usize,
    take: T,
}

/// A component while it is decoded.
struct Work {
    /// Blocks of a unit, across and down.
    factors: (usize, usize),
    basis: Basis,
    strip: Strip,
}

/// What reads a component's blocks from the only scan.
struct Coder<'a> {
    first: First<'a>,
    others: Use<'a>,
    /// The first coefficient of the block before.
    before: i32,
}

/// What becomes of a block's coefficients behind the first.
enum Use<'a> {
    /// A mean is of a whole block: they do not matter.
    Skip(Skipper<'a>),
    Add(Others<'a>),
}

/// Where a block comes from.
enum Origin<'s, 'a, 'b> {
    Scan(&'s mut Coder<'a>, &'s mut Bits<'b>),
    /// Its coefficients, and which behind the first are not zero.
    Buffer(&'s [i16; BLOCK], u64),
}

/// Decodes the blocks of `header`, and gives `take` the strips of its components for each row of means of `scale` by `scale` pixels, with
/// the number of the row in them. Says whether that was done: not where a component has no such means.
///
/// # Errors
///
/// Every variant of [`Error`].
pub(super) fn rows(
    header: &Header<'_>,
    scale: usize,
    take: impl FnMut(&[&Strip], usize),
) -> Result<bool, Error> {
    let grid = Grid::of(&header.frame);
    let components = header.frame.components.iter();
    let means: Option<Vec<_>> = components.map(|one| means(one, scale, grid)).collect();
    let Some(means) = means else {
        return Ok(false);
    };
    let source = Source::of(header, vec![])?;
    let works = header.frame.components.iter().zip(&means).enumerate();
    let works = works
        .map(|(place, (component, &means))| Work::new(component, means, source.quantization(place), grid));
    let coders = source
        .coded()
        .iter()
        .zip(&means)
        .filter_map(|(one, &means)| Coder::new(one, means));
    let mut strips = Strips {
        works: works.collect(),
        coders: coders.collect(),
        rows: SIDE * grid.unit.1 / scale,
        take,
    };
    source.give(&mut strips)?;
    Ok(true)
}

/// The means of a block, across and down. A component of fewer blocks has larger ones, in pixels of the image.
fn means(component: &Component, scale: usize, grid: Grid) -> Option<(usize, usize)> {
    let means = |most: usize, own: usize| {
        let means = SIDE * most / own / scale;
        (means > 0 && SIDE.is_multiple_of(means)).then_some(means)
    };
    let means = (
        means(grid.unit.0, component.across)?,
        means(grid.unit.1, component.down)?,
    );
    // Those that are compiled, which are not the far more in one direction.
    matches!(means, (1, 1 | 2) | (2, 1 | 2 | 4) | (4, 2 | 4)).then_some(means)
}

impl<T: FnMut(&[&Strip], usize)> Reader for Strips<'_, T> {
    fn restart(&mut self) {
        self.coders.iter_mut().for_each(|coder| coder.before = 0);
    }

    #[inline(always)]
    fn unit(&mut self, bits: &mut Bits<'_>, column: usize) -> Option<()> {
        for (work, coder) in self.works.iter_mut().zip(&mut self.coders) {
            let (across, down) = work.factors;
            for y in 0..down {
                for x in column * across..(column + 1) * across {
                    work.any_block(Origin::Scan(coder, bits), x, y)?;
                }
            }
        }
        Some(())
    }

    fn end_of_row(&mut self, _: usize) {
        let strips: Vec<&Strip> = self.works.iter().map(|work| &work.strip).collect();
        (0..self.rows).for_each(|row| (self.take)(&strips, row));
    }
}

impl<T: FnMut(&[&Strip], usize)> Loader for Strips<'_, T> {
    fn load(&mut self, buffer: &CoefficientBuffer, row: usize, column: usize) {
        let mut own = [0; BLOCK];
        for (place, work) in self.works.iter_mut().enumerate() {
            let (across, down) = work.factors;
            for y in 0..down {
                for x in column * across..(column + 1) * across {
                    let (values, nonzero) = buffer.block(place, (row * down + y, x), &mut own);
                    work.any_block(Origin::Buffer(values, nonzero), x, y)
                        .expect("a stored block is not broken");
                }
            }
        }
    }
}

impl<'a> Coder<'a> {
    fn new(coded: &'a Coded, means: (usize, usize)) -> Option<Self> {
        let others = coded.ac.as_deref()?;
        Some(Self {
            first: First::new(coded.dc.as_deref()?),
            others: match means {
                (1, 1) => Use::Skip(Skipper::new(others)),
                _ => Use::Add(Others::new(others)),
            },
            before: 0,
        })
    }
}

impl Work {
    fn new(component: &Component, means: (usize, usize), quantization: &[u16; BLOCK], grid: Grid) -> Self {
        let stride = grid.columns * component.across * means.0;
        Self {
            factors: (component.across, component.down),
            basis: Basis::new(means.0, means.1, quantization),
            strip: Strip {
                stride,
                values: vec![0.0; stride * component.down * means.1],
            },
        }
    }

    /// Decodes the component's block in column `x` and row `y` of the strip. `None` where it is broken.
    #[inline(always)]
    fn any_block(&mut self, source: Origin<'_, '_, '_>, x: usize, y: usize) -> Option<()> {
        match (self.basis.across, self.basis.down) {
            (1, 1) => self.block::<1, 1>(source, x, y),
            (1, 2) => self.block::<1, 2>(source, x, y),
            (2, 1) => self.block::<2, 1>(source, x, y),
            (2, 2) => self.block::<2, 2>(source, x, y),
            (2, 4) => self.block::<2, 4>(source, x, y),
            (4, 2) => self.block::<4, 2>(source, x, y),
            (4, 4) => self.block::<4, 4>(source, x, y),
            _ => None,
        }
    }

    #[inline(always)]
    fn block<const ACROSS: usize, const DOWN: usize>(
        &mut self,
        source: Origin<'_, '_, '_>,
        x: usize,
        y: usize,
    ) -> Option<()> {
        let waves: &Waves<ACROSS, DOWN> = self.basis.waves()?;
        let mut sums = [[0.0; ACROSS]; DOWN];
        let mut add = |place: usize, value: i32| {
            for (sums, waves) in sums.iter_mut().zip(&waves[place]) {
                for (sum, wave) in sums.iter_mut().zip(waves) {
                    *sum += value as f32 * wave;
                }
            }
        };
        match source {
            Origin::Scan(coder, bits) => {
                // Of a broken file, the sum may leave the range of its type.
                coder.before = coder.before.wrapping_add(coder.first.read(bits)?);
                add(0, coder.before);
                match &coder.others {
                    Use::Skip(skipper) => skipper.skip(bits)?,
                    Use::Add(others) => others.read(bits, add).map(|_| ())?,
                }
            }
            Origin::Buffer(values, mut nonzero) => {
                add(0, values[0].into());
                while ACROSS * DOWN > 1 && nonzero != 0 {
                    let place = nonzero.trailing_zeros() as usize;
                    nonzero &= nonzero - 1;
                    add(place, values[usize::from(PLACES[place])].into());
                }
            }
        }
        let Strip { stride, values } = &mut self.strip;
        for (row, sums) in sums.iter().enumerate() {
            let start = (y * DOWN + row) * *stride + x * ACROSS;
            values[start..start + ACROSS].copy_from_slice(sums);
        }
        Some(())
    }
}

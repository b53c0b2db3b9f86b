//! Decodes blocks to rows of averages.

use super::super::bits::BitReader;
use super::super::buffer::{CoefficientBuffer, McuLoader};
use super::super::coefficients::{AcDecoder, DcDecoder};
use super::super::frame::{Component, McuGrid};
use super::super::full::idct::STORAGE_ORDER;
use super::super::header::Header;
use super::super::scan::McuReader;
use super::super::skipping::AcSkipper;
use super::super::source::McuSource;
use super::super::tables::ScanComponent;
use super::super::{BLOCK, Error, SIDE};
use super::basis::{Basis, BasisFunctions};

/// The averages of one component in an MCU row, centred on 0, in rows.
#[derive(Debug)]
pub(super) struct Strip {
    stride: usize,
    values: Vec<f32>,
}

impl Strip {
    /// A row of averages.
    pub(super) fn line(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.stride]
    }
}

/// The components being decoded, and the consumer of their rows.
struct Strips<'a, T> {
    components: Vec<ScaledComponent>,
    /// By component, if there is a single scan; else empty.
    decoders: Vec<StripDecoder<'a>>,
    /// Rows of averages per MCU row.
    rows: usize,
    take: T,
}

/// A component being decoded.
struct ScaledComponent {
    /// Blocks per MCU, horizontally and vertically.
    factors: (usize, usize),
    basis: Basis,
    strip: Strip,
}

/// Entropy decoding of a component in a single scan.
struct StripDecoder<'a> {
    dc: DcDecoder<'a>,
    ac: AcUse<'a>,
    /// The DC coefficient of the previous block.
    previous_dc: i32,
}

/// How AC coefficients are processed.
enum AcUse<'a> {
    /// Skipped, if the average is of a whole block.
    Skip(AcSkipper<'a>),
    /// Added to the averages.
    Add(AcDecoder<'a>),
}

/// The source of a block.
enum BlockSource<'s, 'a, 'b> {
    Scan(&'s mut StripDecoder<'a>, &'s mut BitReader<'b>),
    /// Its coefficients, and the bit mask of nonzero AC coefficients.
    Buffer(&'s [i16; BLOCK], u64),
}

/// Decodes an image to averages of `scale` by `scale` pixels. Calls `take` for each row of averages, with the strips of the components and
/// the index of the row in them. Returns `false`, without decoding, if the sampling factors of a component do not allow such averages.
///
/// # Errors
///
/// Every variant of [`Error`].
pub(super) fn rows(
    header: &Header<'_>,
    scale: usize,
    take: impl FnMut(&[&Strip], usize),
) -> Result<bool, Error> {
    let grid = McuGrid::of(&header.frame);
    let components = header.frame.components.iter();
    let means: Option<Vec<_>> = components.map(|one| means(one, scale, grid)).collect();
    let Some(means) = means else {
        return Ok(false);
    };
    let source = McuSource::of(header, vec![])?;
    let components = header.frame.components.iter().zip(&means).enumerate();
    let components = components.map(|(index, (component, &means))| {
        ScaledComponent::new(component, means, source.quantization(index), grid)
    });
    let decoders = source
        .coded()
        .iter()
        .zip(&means)
        .filter_map(|(one, &means)| StripDecoder::new(one, means));
    let mut strips = Strips {
        components: components.collect(),
        decoders: decoders.collect(),
        rows: SIDE * grid.mcu.1 / scale,
        take,
    };
    source.for_each_mcu(&mut strips)?;
    Ok(true)
}

/// The number of averages per block, horizontally and vertically. Blocks of subsampled components have more, because they cover more
/// pixels.
fn means(component: &Component, scale: usize, grid: McuGrid) -> Option<(usize, usize)> {
    let means = |most: usize, own: usize| {
        let means = SIDE * most / own / scale;
        (means > 0 && SIDE.is_multiple_of(means)).then_some(means)
    };
    let means = (
        means(grid.mcu.0, component.across)?,
        means(grid.mcu.1, component.down)?,
    );
    // The combinations for which `any_block` is instantiated.
    matches!(means, (1, 1 | 2) | (2, 1 | 2 | 4) | (4, 2 | 4)).then_some(means)
}

impl<T: FnMut(&[&Strip], usize)> McuReader for Strips<'_, T> {
    fn restart(&mut self) {
        self.decoders
            .iter_mut()
            .for_each(|decoder| decoder.previous_dc = 0);
    }

    #[inline(always)]
    fn decode_mcu(&mut self, bits: &mut BitReader<'_>, column: usize) -> Option<()> {
        for (component, decoder) in self.components.iter_mut().zip(&mut self.decoders) {
            let (across, down) = component.factors;
            for y in 0..down {
                for x in column * across..(column + 1) * across {
                    component.any_block(BlockSource::Scan(decoder, bits), x, y)?;
                }
            }
        }
        Some(())
    }

    fn end_of_mcu_row(&mut self, _: usize) {
        let strips: Vec<&Strip> = self.components.iter().map(|component| &component.strip).collect();
        (0..self.rows).for_each(|row| (self.take)(&strips, row));
    }
}

impl<T: FnMut(&[&Strip], usize)> McuLoader for Strips<'_, T> {
    fn load_mcu(&mut self, buffer: &CoefficientBuffer, row: usize, column: usize) {
        let mut own = [0; BLOCK];
        for (index, component) in self.components.iter_mut().enumerate() {
            let (across, down) = component.factors;
            for y in 0..down {
                for x in column * across..(column + 1) * across {
                    let (values, nonzero) = buffer.block(index, (row * down + y, x), &mut own);
                    component
                        .any_block(BlockSource::Buffer(values, nonzero), x, y)
                        .expect("buffered blocks are valid");
                }
            }
        }
    }
}

impl<'a> StripDecoder<'a> {
    fn new(coded: &'a ScanComponent, means: (usize, usize)) -> Option<Self> {
        let table = coded.ac.as_deref()?;
        Some(Self {
            dc: DcDecoder::new(coded.dc.as_deref()?),
            ac: match means {
                (1, 1) => AcUse::Skip(AcSkipper::new(table)),
                _ => AcUse::Add(AcDecoder::new(table)),
            },
            previous_dc: 0,
        })
    }
}

impl ScaledComponent {
    fn new(component: &Component, means: (usize, usize), quantization: &[u16; BLOCK], grid: McuGrid) -> Self {
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

    /// Decodes the block in column `x` and row `y` of the strip. `None` if the data are invalid.
    #[inline(always)]
    fn any_block(&mut self, source: BlockSource<'_, '_, '_>, x: usize, y: usize) -> Option<()> {
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
        source: BlockSource<'_, '_, '_>,
        x: usize,
        y: usize,
    ) -> Option<()> {
        let basis_functions: &BasisFunctions<ACROSS, DOWN> = self.basis.basis_functions()?;
        let mut sums = [[0.0; ACROSS]; DOWN];
        let mut add = |k: usize, value: i32| {
            for (sums, basis_functions) in sums.iter_mut().zip(&basis_functions[k]) {
                for (sum, basis) in sums.iter_mut().zip(basis_functions) {
                    *sum += value as f32 * basis;
                }
            }
        };
        match source {
            BlockSource::Scan(decoder, bits) => {
                // The sum may overflow for corrupt data.
                decoder.previous_dc = decoder.previous_dc.wrapping_add(decoder.dc.read(bits)?);
                add(0, decoder.previous_dc);
                match &decoder.ac {
                    AcUse::Skip(skipper) => skipper.skip(bits)?,
                    AcUse::Add(ac) => ac.read(bits, add).map(|_| ())?,
                }
            }
            BlockSource::Buffer(values, mut nonzero) => {
                add(0, values[0].into());
                while ACROSS * DOWN > 1 && nonzero != 0 {
                    let k = nonzero.trailing_zeros() as usize;
                    nonzero &= nonzero - 1;
                    add(k, values[usize::from(STORAGE_ORDER[k])].into());
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

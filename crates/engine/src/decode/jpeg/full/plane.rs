//! One component, from its coefficients to rows of the image's width.

use std::rc::Rc;

use super::super::bits::BitReader;
use super::super::buffer::CoefficientBuffer;
use super::super::coefficients::{AcDecoder, DcDecoder};
use super::super::header::{Component, Frame};
use super::super::scan::McuGrid;
use super::super::tables::ScanComponent;
use super::super::{BLOCK, SIDE};
use super::idct::{Block, Idct, STORAGE_ORDER};
use super::row_ring::RowRing;
use super::upsample::Upsampler;

/// What reads a component's blocks from the only scan.
pub(super) struct ComponentDecoder<'a> {
    first: DcDecoder<'a>,
    others: Rc<AcDecoder<'a>>,
    /// The first coefficient of the block before.
    before: i32,
}

impl<'a> ComponentDecoder<'a> {
    /// Those of all components. Whoever has the same table as the one before shares what is made of it.
    pub(super) fn all(components: &'a [ScanComponent]) -> Vec<Self> {
        let mut decoders: Vec<Self> = Vec::with_capacity(components.len());
        let mut last = None;
        for one in components {
            let (Some(dc), Some(ac)) = (&one.dc, &one.ac) else {
                continue;
            };
            let others = match (decoders.last(), last) {
                (Some(coder), Some(last)) if Rc::ptr_eq(last, ac) => Rc::clone(&coder.others),
                _ => Rc::new(AcDecoder::new(ac)),
            };
            decoders.push(Self {
                first: DcDecoder::new(dc),
                others,
                before: 0,
            });
            last = Some(ac);
        }
        decoders
    }

    /// Begins anew: no block is before the next one.
    pub(super) fn restart(&mut self) {
        self.before = 0;
    }
}

/// A component while it is decoded.
pub(super) struct Plane {
    /// Blocks of a unit, across and down.
    factors: (usize, usize),
    row_ring: RowRing,
    upsampler: Upsampler,
    /// Where coefficients stand in a block, and what they are multiplied by, in the order in which they are coded.
    places: [(u16, u16); BLOCK],
    /// What they are multiplied by, where they stand in a block.
    steps: Block,
    /// The blocks of a unit, and whether their coefficients are zero but for the first.
    blocks: Vec<Block>,
    flat: Vec<bool>,
}

impl Plane {
    /// A plane that takes over what is of use of an image before this one.
    pub(super) fn new(
        frame: &Frame,
        component: &Component,
        quantization: &[u16; BLOCK],
        used: Option<RowRing>,
    ) -> Self {
        let Component { across, down, .. } = *component;
        let grid = McuGrid::of(frame);
        let times = (grid.mcu.0 / across, grid.mcu.1 / down);
        let places = std::array::from_fn(|number| (STORAGE_ORDER[number], quantization[number]));
        let mut steps = Block::default();
        for (place, step) in places {
            steps.0[usize::from(place)] = step.cast_signed();
        }
        Self {
            factors: (across, down),
            row_ring: RowRing::new(grid.columns * across, down, used),
            upsampler: Upsampler::new((frame.width, frame.height), times),
            places,
            steps,
            blocks: (0..across * down).map(|_| Block::default()).collect(),
            flat: vec![true; across * down],
        }
    }

    pub(super) fn into_ring(self) -> RowRing {
        self.row_ring
    }

    /// Goes on to the next row of units.
    pub(super) fn end_of_mcu_row(&mut self) {
        self.row_ring.advance();
    }

    /// Reads the component's blocks of a unit.
    #[inline(always)]
    pub(super) fn read(&mut self, coder: &mut ComponentDecoder<'_>, bits: &mut BitReader<'_>) -> Option<()> {
        let places = &self.places;
        let put = |block: &mut Block, number: usize, value: i32| {
            let (place, factor) = places[number];
            // Of a broken file, values may leave the range of their type.
            block.0[usize::from(place) % block.0.len()] = value.wrapping_mul(factor.into()) as i16;
        };
        for (block, is_flat) in self.blocks.iter_mut().zip(&mut self.flat) {
            *block = Block::default();
            coder.before = coder.before.wrapping_add(coder.first.read(bits)?);
            put(block, 0, coder.before);
            *is_flat = !coder
                .others
                .read(bits, |number, value| put(block, number, value))?;
        }
        Some(())
    }

    /// Takes the component's blocks of the unit in `row` and `column`, of the component at `place` in `buffer`.
    #[inline(always)]
    pub(super) fn load_mcu(&mut self, buffer: &CoefficientBuffer, place: usize, row: usize, column: usize) {
        let (across, down) = self.factors;
        let mut own = [0; BLOCK];
        for (number, block) in self.blocks.iter_mut().enumerate() {
            let at = (row * down + number / across, column * across + number % across);
            let (values, nonzero) = buffer.block(place, at, &mut own);
            self.flat[number] = nonzero == 0;
            if nonzero == 0 {
                block.0[0] = values[0].wrapping_mul(self.steps.0[0]);
            } else {
                for ((target, value), step) in block.0.iter_mut().zip(values).zip(&self.steps.0) {
                    *target = value.wrapping_mul(*step);
                }
            }
        }
    }

    /// Makes the samples of the unit in `column`, which was read.
    ///
    /// Not while it is read: the numbers are written one by one, and read by vectors, for which a processor waits until they have left
    /// its pipeline.
    #[inline(always)]
    pub(super) fn idct(&mut self, idct: impl Idct, column: usize) {
        let (across, down) = self.factors;
        let (samples, stride) = self.row_ring.mcu_row_mut();
        for y in 0..down {
            for x in 0..across {
                let block = y * across + x;
                let target = &mut samples[y * SIDE * stride + (column * across + x) * SIDE..];
                if self.flat[block] {
                    let sample = idct.flat(self.blocks[block].0[0]);
                    for row in 0..SIDE {
                        target[row * stride..][..SIDE].fill(sample);
                    }
                } else {
                    idct.samples(&self.blocks[block], target, stride);
                }
            }
        }
    }

    /// Makes row `y` of the image's rows.
    #[inline(always)]
    pub(super) fn upsample(&mut self, y: usize) {
        self.upsampler.upsample(&self.row_ring, y);
    }

    /// Row `y` of the image's rows, which was the last one made. May be longer than the image is wide.
    #[inline(always)]
    pub(super) fn line(&self, y: usize) -> &[u8] {
        self.upsampler.line(&self.row_ring, y)
    }
}

//! Decodes one component, from coefficients to upsampled rows.

use super::super::bits::BitReader;
use super::super::buffer::CoefficientBuffer;
use super::super::coefficients::DcDecoder;
use super::super::frame::{Component, Frame, McuGrid};
use super::super::pairs::AcPairDecoder;
use super::super::tables::ScanComponent;
use super::super::{BLOCK, SIDE};
use super::idct::{Block, Idct, STORAGE_ORDER};
use super::row_ring::RowRing;
use super::upsample::Upsampler;

/// Entropy decoding of a component in a single scan.
pub(super) struct ComponentDecoder<'a> {
    dc: DcDecoder<'a>,
    ac: AcPairDecoder<'a>,
    /// The DC coefficient of the previous block.
    previous_dc: i32,
}

impl<'a> ComponentDecoder<'a> {
    /// The decoders of all components.
    pub(super) fn all(components: &'a [ScanComponent]) -> Vec<Self> {
        let coded = |one: &'a ScanComponent| {
            Some(Self {
                dc: DcDecoder::new(one.dc.as_deref()?),
                ac: AcPairDecoder::new(one.ac.as_deref()?),
                previous_dc: 0,
            })
        };
        components.iter().filter_map(coded).collect()
    }

    /// Resets the DC prediction at a restart marker.
    pub(super) fn restart(&mut self) {
        self.previous_dc = 0;
    }
}

/// A component being decoded.
pub(super) struct Plane {
    /// Blocks per MCU, horizontally and vertically.
    factors: (usize, usize),
    row_ring: RowRing,
    upsampler: Upsampler,
    /// In zigzag order: index of the coefficient in a [`Block`], and its quantization step.
    order: [(u16, u16); BLOCK],
    /// Quantization steps in the order of a [`Block`].
    steps: Block,
    /// The blocks of an MCU, and whether all their AC coefficients are 0.
    blocks: Vec<Block>,
    flat: Vec<bool>,
}

impl Plane {
    /// The plane of a component. Reuses the memory of `used`.
    pub(super) fn new(
        frame: &Frame,
        component: &Component,
        quantization: &[u16; BLOCK],
        used: Option<RowRing>,
    ) -> Self {
        let Component { across, down, .. } = *component;
        let grid = McuGrid::of(frame);
        let times = (grid.mcu.0 / across, grid.mcu.1 / down);
        let order = std::array::from_fn(|number| (STORAGE_ORDER[number], quantization[number]));
        let mut steps = Block::default();
        for (index, step) in order {
            steps.0[usize::from(index)] = step.cast_signed();
        }
        Self {
            factors: (across, down),
            row_ring: RowRing::new(grid.columns * across, down, used),
            upsampler: Upsampler::new((frame.width, frame.height), times),
            order,
            steps,
            blocks: (0..across * down).map(|_| Block::default()).collect(),
            flat: vec![true; across * down],
        }
    }

    pub(super) fn into_ring(self) -> RowRing {
        self.row_ring
    }

    /// Advances to the next MCU row.
    pub(super) fn end_of_mcu_row(&mut self) {
        self.row_ring.advance();
    }

    /// Decodes the component's blocks of an MCU. `None` if the data are invalid.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        decoder: &mut ComponentDecoder<'_>,
        bits: &mut BitReader<'_>,
    ) -> Option<()> {
        let order = &self.order;
        let put = |block: &mut Block, number: usize, value: i32| {
            let (index, factor) = order[number];
            // Values may overflow for corrupt data.
            block.0[usize::from(index) % block.0.len()] = value.wrapping_mul(factor.into()) as i16;
        };
        for (block, is_flat) in self.blocks.iter_mut().zip(&mut self.flat) {
            *block = Block::default();
            decoder.previous_dc = decoder.previous_dc.wrapping_add(decoder.dc.read(bits)?);
            put(block, 0, decoder.previous_dc);
            *is_flat = !decoder.ac.read(bits, |number, value| put(block, number, value))?;
        }
        Some(())
    }

    /// Dequantises the blocks of the MCU in `row` and `column` from `buffer`, of its component `index`.
    #[inline(always)]
    pub(super) fn load_mcu(&mut self, buffer: &CoefficientBuffer, index: usize, row: usize, column: usize) {
        let (across, down) = self.factors;
        let mut own = [0; BLOCK];
        for (number, block) in self.blocks.iter_mut().enumerate() {
            let at = (row * down + number / across, column * across + number % across);
            let (values, nonzero) = buffer.block(index, at, &mut own);
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

    /// Transforms the decoded MCU to samples in `column`.
    ///
    /// Called after all blocks of an MCU are decoded: vector loads directly after the scalar stores of the coefficients would stall on
    /// store forwarding.
    #[inline(always)]
    pub(super) fn idct(&mut self, idct: impl Idct, column: usize) {
        let (across, down) = self.factors;
        let (samples, stride) = self.row_ring.mcu_row_mut();
        for y in 0..down {
            for x in 0..across {
                let block = y * across + x;
                let target = &mut samples[y * SIDE * stride + (column * across + x) * SIDE..];
                if self.flat[block] {
                    let samples = [idct.flat(self.blocks[block].0[0]); SIDE];
                    for row in 0..SIDE {
                        target[row * stride..][..SIDE].copy_from_slice(&samples);
                    }
                } else {
                    idct.samples(&self.blocks[block], target, stride);
                }
            }
        }
    }

    /// Upsamples row `y` of the image.
    #[inline(always)]
    pub(super) fn upsample(&mut self, y: usize) {
        self.upsampler.upsample(&self.row_ring, y);
    }

    /// Row `y` of the image, which must be the last one upsampled. May be longer than the width of the image.
    #[inline(always)]
    pub(super) fn line(&self, y: usize) -> &[u8] {
        self.upsampler.line(&self.row_ring, y)
    }
}

//! All pixels of a JPEG: those of libjpeg and libjpeg-turbo as they come out of the box, and so of Pillow, OpenCV and torchvision, to the bit.
//!
//! Which pixels a file stands for is free within limits: the standard bounds the error of the transform, and says nothing of how colours
//! that are sampled less often are enlarged. Networks are trained and applied on what libjpeg makes of a file, so that is made here: its
//! accurate integer transform (`JDCT_ISLOW`), its smooth enlarging ("fancy upsampling"), its colours.
//!
//! Data go by rows of units: coefficients become samples in [`RowRing`]s, from which rows of pixels are made as soon as the rows above and
//! below are there. So what is between a file and its pixels stays in the nearest caches.

mod colour;
pub(super) mod idct;
mod instructions;
mod plane;
mod row_ring;
mod upsample;

use std::mem;

use self::colour::Samples;
use self::instructions::{Instructions, Portable};
use self::plane::{ComponentDecoder, Plane};
use self::row_ring::RowRing;
use super::bits::BitReader;
use super::buffer::{CoefficientBuffer, ComponentBuffer};
use super::header::{Colours, Header};
use super::scan::{McuGrid, McuReader};
use super::source::{McuLoader, McuSource};
use super::{Error, SIDE};
#[cfg(target_arch = "x86_64")]
use crate::cpu::Avx2;
use crate::decode::pixels::room_for;
use crate::image::Image;

/// Memory that is used again for the next image.
#[derive(Debug, Default)]
pub(in crate::decode) struct JpegScratch {
    row_rings: Vec<RowRing>,
    blocks: Vec<ComponentBuffer>,
}

impl JpegScratch {
    /// Bytes that are kept.
    pub(in crate::decode) fn bytes(&self) -> usize {
        let row_rings = self.row_rings.iter().map(RowRing::bytes).sum::<usize>();
        row_rings + self.blocks.iter().map(ComponentBuffer::bytes).sum::<usize>()
    }
}

/// Makes `pixels` those of a JPEG as RGB; they are of no use where that fails.
///
/// # Errors
///
/// Every variant of [`Error`].
pub(in crate::decode) fn decode(
    header: &Header<'_>,
    kept: &mut JpegScratch,
    pixels: &mut Vec<u8>,
) -> Result<(), Error> {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = Avx2::detect() {
        return decode_with(avx2, header, kept, pixels);
    }
    decode_with(Portable, header, kept, pixels)
}

fn decode_with(
    instructions: impl Instructions,
    header: &Header<'_>,
    kept: &mut JpegScratch,
    pixels: &mut Vec<u8>,
) -> Result<(), Error> {
    let source = McuSource::of(header, mem::take(&mut kept.blocks))?;
    let frame = &header.frame;
    let mut row_rings = mem::take(&mut kept.row_rings).into_iter();
    let planes =
        frame.components.iter().enumerate().map(|(index, component)| {
            Plane::new(frame, component, source.quantization(index), row_rings.next())
        });
    let planes = planes.collect();
    let bytes = frame.width * frame.height * Image::CHANNELS;
    if pixels.capacity() < bytes + Image::SLACK {
        *pixels = room_for(bytes);
    }
    pixels.resize(bytes, 0);
    let mut full = FullDecoder {
        instructions,
        decoders: ComponentDecoder::all(source.coded()),
        planes,
        grid: McuGrid::of(frame),
        colours: header.colours,
        width: frame.width,
        height: frame.height,
        pixels,
    };
    let done = source.for_each_mcu(&mut full);
    kept.row_rings = full.planes.into_iter().map(Plane::into_ring).collect();
    kept.blocks = source.into_components();
    done
}

/// An image while it is decoded.
struct FullDecoder<'a, I> {
    instructions: I,
    /// Of the components, where they are read from their only scan.
    decoders: Vec<ComponentDecoder<'a>>,
    planes: Vec<Plane>,
    grid: McuGrid,
    colours: Colours,
    width: usize,
    height: usize,
    pixels: &'a mut [u8],
}

impl<I: Instructions> FullDecoder<'_, I> {
    /// Makes the rows of pixels in row `row` of units. What is above and below must be there.
    #[inline(always)]
    fn rows(&mut self, row: usize) {
        let rows = SIDE * self.grid.mcu.1;
        let stride = self.width * Image::CHANNELS;
        for y in row * rows..((row + 1) * rows).min(self.height) {
            let target = &mut self.pixels[y * stride..(y + 1) * stride];
            self.planes.iter_mut().for_each(|plane| plane.upsample(y));
            match (self.planes.as_slice(), self.colours) {
                ([grey], _) => colour::grey(grey.line(y), target),
                ([red, green, blue, rest @ ..], Colours::Rgb | Colours::Cmyk) => {
                    colour::interleave([red.line(y), green.line(y), blue.line(y)], target);
                    rest.iter()
                        .for_each(|black| colour::darken(black.line(y), target));
                }
                ([luma, blue, red, rest @ ..], _) => {
                    let samples = Samples {
                        luma: luma.line(y),
                        blue: blue.line(y),
                        red: red.line(y),
                    };
                    self.instructions.rgb(samples, target);
                    rest.iter()
                        .for_each(|black| colour::darken_inks(black.line(y), target));
                }
                _ => {}
            }
        }
    }
}

impl<I: Instructions> McuReader for FullDecoder<'_, I> {
    #[inline(always)]
    fn restart(&mut self) {
        self.decoders.iter_mut().for_each(ComponentDecoder::restart);
    }

    #[inline(always)]
    fn decode_mcu(&mut self, bits: &mut BitReader<'_>, column: usize) -> Option<()> {
        for (plane, coder) in self.planes.iter_mut().zip(&mut self.decoders) {
            plane.read(coder, bits)?;
        }
        for plane in &mut self.planes {
            plane.idct(self.instructions, column);
        }
        Some(())
    }

    #[inline(always)]
    fn end_of_mcu_row(&mut self, row: usize) {
        self.planes.iter_mut().for_each(Plane::end_of_mcu_row);
        // The last rows of one row of units need the first ones of the next.
        if let Some(before) = row.checked_sub(1) {
            self.rows(before);
        }
        if row + 1 == self.grid.rows {
            self.rows(row);
        }
    }
}

impl<I: Instructions> McuLoader for FullDecoder<'_, I> {
    #[inline(always)]
    fn load_mcu(&mut self, buffer: &CoefficientBuffer, row: usize, column: usize) {
        for (index, plane) in self.planes.iter_mut().enumerate() {
            plane.load_mcu(buffer, index, row, column);
            plane.idct(self.instructions, column);
        }
    }
}

#[cfg(test)]
mod tests;

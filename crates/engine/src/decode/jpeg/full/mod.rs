//! Decoding at full size, bit-identical to libjpeg and libjpeg-turbo with default settings, and so to Pillow, OpenCV and torchvision.
//!
//! The standard bounds the error of the inverse DCT and does not define upsampling, so decoders may differ. Networks are trained and
//! applied on libjpeg's pixels, so its algorithms are implemented here: the accurate integer DCT (`JDCT_ISLOW`), fancy upsampling, and its
//! colour conversion.
//!
//! Data are processed by MCU rows: coefficients become samples in [`RowRing`]s, from which rows of pixels are computed once the rows above
//! and below are available. So intermediate data stay in the L1 and L2 caches.

mod colour;
pub(super) mod idct;
mod instructions;
mod plane;
mod portable;
mod row_ring;
mod upsample;

use std::mem;

use self::colour::Samples;
use self::instructions::Instructions;
#[cfg(target_arch = "x86_64")]
use self::instructions::Wide;
use self::plane::{ComponentDecoder, Plane};
use self::portable::Portable;
use self::row_ring::RowRing;
use super::bits::BitReader;
use super::buffer::{CoefficientBuffer, McuLoader};
use super::component_buffer::ComponentBuffer;
use super::frame::{Colours, McuGrid};
use super::header::Header;
use super::scan::McuReader;
use super::source::McuSource;
use super::{Error, SIDE};
#[cfg(target_arch = "x86_64")]
use crate::cpu::Avx2;
use crate::decode::pixels::room_for;
use crate::image::Image;

/// Buffers reused for the next image.
#[derive(Debug, Default)]
pub(in crate::decode) struct JpegScratch {
    row_rings: Vec<RowRing>,
    blocks: Vec<ComponentBuffer>,
}

impl JpegScratch {
    /// Bytes of the buffers.
    pub(in crate::decode) fn bytes(&self) -> usize {
        let row_rings = self.row_rings.iter().map(RowRing::bytes).sum::<usize>();
        row_rings + self.blocks.iter().map(ComponentBuffer::bytes).sum::<usize>()
    }
}

/// Decodes a JPEG to RGB into `pixels`, whose contents are unspecified after an error.
///
/// # Errors
///
/// Every variant of [`Error`].
pub(in crate::decode) fn decode(
    header: &Header<'_>,
    scratch: &mut JpegScratch,
    pixels: &mut Vec<u8>,
) -> Result<(), Error> {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = Wide::detect() {
        return decode_with(wide, header, scratch, pixels);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = Avx2::detect() {
        return decode_with(avx2, header, scratch, pixels);
    }
    decode_with(Portable, header, scratch, pixels)
}

fn decode_with(
    instructions: impl Instructions,
    header: &Header<'_>,
    scratch: &mut JpegScratch,
    pixels: &mut Vec<u8>,
) -> Result<(), Error> {
    let source = McuSource::of(header, mem::take(&mut scratch.blocks))?;
    let frame = &header.frame;
    let mut row_rings = mem::take(&mut scratch.row_rings).into_iter();
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
    scratch.row_rings = full.planes.into_iter().map(Plane::into_ring).collect();
    scratch.blocks = source.into_components();
    done
}

/// An image being decoded.
struct FullDecoder<'a, I> {
    instructions: I,
    /// By component, if there is a single scan; else empty.
    decoders: Vec<ComponentDecoder<'a>>,
    planes: Vec<Plane>,
    grid: McuGrid,
    colours: Colours,
    width: usize,
    height: usize,
    pixels: &'a mut [u8],
}

impl<I: Instructions> FullDecoder<'_, I> {
    /// Computes the pixel rows of MCU row `row`. The MCU rows above and below must be decoded.
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
        // Upsampling the last rows of an MCU row needs the first rows of the next.
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

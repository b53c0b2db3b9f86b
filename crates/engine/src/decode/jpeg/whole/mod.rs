//! All pixels of a JPEG: those of libjpeg and libjpeg-turbo as they come out of the box, and so of Pillow, OpenCV and torchvision, to the bit.
//!
//! Which pixels a file stands for is free within limits: the standard bounds the error of the transform, and says nothing of how colours
//! that are sampled less often are enlarged. Networks are trained and applied on what libjpeg makes of a file, so that is made here: its
//! accurate integer transform (`JDCT_ISLOW`), its smooth enlarging ("fancy upsampling"), its colours.
//!
//! Data go by rows of units: coefficients become samples in [`Ring`]s, from which rows of pixels are made as soon as the rows above and
//! below are there. So what is between a file and its pixels stays in the nearest caches.

mod colour;
mod enlarge;
mod instructions;
mod plane;
mod ring;
pub(super) mod transform;

use std::mem;

use self::colour::Samples;
use self::instructions::{Instructions, Portable};
use self::plane::{Coder, Plane};
use self::ring::Ring;
use super::bits::Bits;
use super::buffer::{CoefficientBuffer, ComponentBuffer};
use super::header::{Colours, Header};
use super::scan::{Grid, Reader};
use super::source::{Loader, Source};
use super::{Error, SIDE};
use crate::decode::pixels::room_for;
use crate::image::Image;
#[cfg(target_arch = "x86_64")]
use crate::machine::Avx2;

/// Memory that is used again for the next image.
#[derive(Debug, Default)]
pub(in crate::decode) struct Kept {
    rings: Vec<Ring>,
    blocks: Vec<ComponentBuffer>,
}

impl Kept {
    /// Bytes that are kept.
    pub(in crate::decode) fn bytes(&self) -> usize {
        let rings = self.rings.iter().map(Ring::bytes).sum::<usize>();
        rings + self.blocks.iter().map(ComponentBuffer::bytes).sum::<usize>()
    }
}

/// Makes `pixels` those of a JPEG as RGB; they are of no use where that fails.
///
/// # Errors
///
/// Every variant of [`Error`].
pub(in crate::decode) fn decode(
    header: &Header<'_>,
    kept: &mut Kept,
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
    kept: &mut Kept,
    pixels: &mut Vec<u8>,
) -> Result<(), Error> {
    let source = Source::of(header, mem::take(&mut kept.blocks))?;
    let frame = &header.frame;
    let mut rings = mem::take(&mut kept.rings).into_iter();
    let planes = frame
        .components
        .iter()
        .enumerate()
        .map(|(place, component)| Plane::new(frame, component, source.quantization(place), rings.next()));
    let planes = planes.collect();
    let bytes = frame.width * frame.height * Image::CHANNELS;
    if pixels.capacity() < bytes + Image::SLACK {
        *pixels = room_for(bytes);
    }
    pixels.resize(bytes, 0);
    let mut whole = Whole {
        instructions,
        coders: Coder::all(source.coded()),
        planes,
        grid: Grid::of(frame),
        colours: header.colours,
        width: frame.width,
        height: frame.height,
        pixels,
    };
    let done = source.give(&mut whole);
    kept.rings = whole.planes.into_iter().map(Plane::into_ring).collect();
    kept.blocks = source.into_components();
    done
}

/// An image while it is decoded.
struct Whole<'a, I> {
    instructions: I,
    /// Of the components, where they are read from their only scan.
    coders: Vec<Coder<'a>>,
    planes: Vec<Plane>,
    grid: Grid,
    colours: Colours,
    width: usize,
    height: usize,
    pixels: &'a mut [u8],
}

impl<I: Instructions> Whole<'_, I> {
    /// Makes the rows of pixels in row `row` of units. What is above and below must be there.
    #[inline(always)]
    fn rows(&mut self, row: usize) {
        let rows = SIDE * self.grid.unit.1;
        let stride = self.width * Image::CHANNELS;
        for y in row * rows..((row + 1) * rows).min(self.height) {
            let target = &mut self.pixels[y * stride..(y + 1) * stride];
            self.planes.iter_mut().for_each(|plane| plane.enlarge(y));
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

impl<I: Instructions> Reader for Whole<'_, I> {
    #[inline(always)]
    fn restart(&mut self) {
        self.coders.iter_mut().for_each(Coder::restart);
    }

    #[inline(always)]
    fn unit(&mut self, bits: &mut Bits<'_>, column: usize) -> Option<()> {
        for (plane, coder) in self.planes.iter_mut().zip(&mut self.coders) {
            plane.read(coder, bits)?;
        }
        for plane in &mut self.planes {
            plane.transform(self.instructions, column);
        }
        Some(())
    }

    #[inline(always)]
    fn end_of_row(&mut self, row: usize) {
        self.planes.iter_mut().for_each(Plane::end_of_row);
        // The last rows of one row of units need the first ones of the next.
        if let Some(before) = row.checked_sub(1) {
            self.rows(before);
        }
        if row + 1 == self.grid.rows {
            self.rows(row);
        }
    }
}

impl<I: Instructions> Loader for Whole<'_, I> {
    #[inline(always)]
    fn load(&mut self, buffer: &CoefficientBuffer, row: usize, column: usize) {
        for (place, plane) in self.planes.iter_mut().enumerate() {
            plane.load(buffer, place, row, column);
            plane.transform(self.instructions, column);
        }
    }
}

#[cfg(test)]
mod tests;

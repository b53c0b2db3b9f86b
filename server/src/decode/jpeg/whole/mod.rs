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
mod transform;

use std::mem;

use self::colour::Samples;
use self::instructions::{Instructions, Portable};
use self::plane::Plane;
use self::ring::Ring;
use super::SIDE;
use super::bits::Bits;
use super::header::Header;
use super::scan::{self, Grid, Reader};
use crate::decode::pixels::room_for;
use crate::image::Image;
#[cfg(target_arch = "x86_64")]
use crate::machine::Avx2;

/// Memory that is used again for the next image.
#[derive(Debug, Default)]
pub(in crate::decode) struct Kept {
    rings: Vec<Ring>,
}

impl Kept {
    /// Bytes that are kept.
    pub(in crate::decode) fn bytes(&self) -> usize {
        self.rings.iter().map(Ring::bytes).sum()
    }
}

/// Makes `pixels` those of a JPEG as RGB. `None` where that is not done here; `pixels` are of no use then.
pub(in crate::decode) fn decode(header: &Header<'_>, kept: &mut Kept, pixels: &mut Vec<u8>) -> Option<()> {
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
) -> Option<()> {
    let grid = Grid::of(header)?;
    let mut rings = mem::take(&mut kept.rings).into_iter();
    let mut planes: Vec<Plane<'_>> = Vec::with_capacity(header.components.len());
    for component in &header.components {
        let plane = Plane::new(header, component, grid, planes.last(), rings.next())?;
        planes.push(plane);
    }
    let bytes = header.width * header.height * Image::CHANNELS;
    if pixels.capacity() < bytes + Image::SLACK {
        *pixels = room_for(bytes);
    }
    pixels.resize(bytes, 0);
    let mut whole = Whole {
        instructions,
        planes,
        grid,
        width: header.width,
        height: header.height,
        pixels,
    };
    let done = scan::read(header, grid, &mut whole);
    kept.rings = whole.planes.into_iter().map(Plane::into_ring).collect();
    done
}

/// An image while it is decoded.
struct Whole<'a, I> {
    instructions: I,
    planes: Vec<Plane<'a>>,
    grid: Grid,
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
            match self.planes.as_slice() {
                [luma, blue, red] => {
                    let samples = Samples {
                        luma: luma.line(y),
                        blue: blue.line(y),
                        red: red.line(y),
                    };
                    self.instructions.rgb(samples, target);
                }
                [grey, ..] => colour::grey(grey.line(y), target),
                [] => {}
            }
        }
    }
}

impl<I: Instructions> Reader for Whole<'_, I> {
    #[inline(always)]
    fn restart(&mut self) {
        self.planes.iter_mut().for_each(Plane::restart);
    }

    #[inline(always)]
    fn unit(&mut self, bits: &mut Bits<'_>, column: usize) -> Option<()> {
        for plane in &mut self.planes {
            plane.read(bits)?;
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

#[cfg(test)]
mod tests;

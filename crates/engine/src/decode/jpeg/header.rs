//! What stands before the pixels of a JPEG, and between its scans.

use ::image::metadata::Orientation;

use super::scan::McuGrid;
use super::tables::{Scan, Tables};
use super::{Error, buffer};
use crate::image::Image;

/// Pixels in a row, and rows, at most: as many as libjpeg takes.
const MAX_LENGTH: usize = 65_500;

/// All that is said up to the data of the first scan.
#[derive(Debug)]
pub(in crate::decode) struct Header<'a> {
    pub(super) frame: Frame,
    pub(super) colours: Colours,
    /// What EXIF data say of how the image is turned.
    pub(in crate::decode) orientation: Option<Orientation>,
    pub(super) first: Scan<'a>,
    /// As they are behind the header of the first scan.
    pub(super) tables: Tables<'a>,
}

/// What is the same for all scans.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) is_progressive: bool,
    pub(super) components: Vec<Component>,
}

/// A component of the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks of a unit, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Number of its quantization table.
    pub(super) table: u8,
}

/// What the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    /// Luma, and the differences of blue and red from it.
    YCbCr,
    Rgb,
    /// Cyan, magenta, yellow and black, each as what is left of the light: 255 is no ink.
    Cmyk,
    /// The same, with luma and differences of the light that the first three leave.
    Ycck,
}

impl<'a> Header<'a> {
    /// Reads the segments up to the first scan.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`], [`Error::Truncated`] and [`Error::Unsupported`].
    ///
    /// # Source
    ///
    /// ITU-T T.81, annex B.2; T.871 (JFIF) for the colours, T.872 for Adobe's segment.
    pub(in crate::decode) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = bytes
            .strip_prefix(&[0xFF, 0xD8])
            .ok_or(Error::Broken("it does not begin with the start-of-image marker"))?;
        let mut tables = Tables::default();
        let first = tables
            .next_scan(&mut rest)?
            .ok_or(Error::Broken("it has no scan"))?;
        let frame = tables.frame()?.clone();
        Ok(Self {
            colours: tables.colours(&frame),
            frame,
            orientation: tables.orientation,
            tables,
            first,
        })
    }

    /// Width and height.
    pub(in crate::decode) fn size(&self) -> (u32, u32) {
        let length = |length| u32::try_from(length).expect("it was read from 16 bits");
        (length(self.frame.width), length(self.frame.height))
    }

    /// Bytes that decoding takes, at most but for what follows from the width alone: the pixels, and the coefficients where they come in
    /// several scans.
    pub(in crate::decode) fn bytes(&self) -> u64 {
        let pixels = self.frame.width * self.frame.height * Image::CHANNELS;
        let coefficients = match self.only_scan() {
            Some(_) => 0,
            None => buffer::bytes(&self.frame),
        };
        (pixels + coefficients) as u64
    }

    /// Bytes that decoding to the means of squares takes, at most: the smallest squares are of 4x4 pixels.
    pub(in crate::decode) fn scaled_bytes(&self) -> u64 {
        match self.only_scan() {
            Some(_) => self.bytes() / 16,
            None => self.bytes(),
        }
    }

    /// The scan, where there is but one, that all is in.
    pub(super) fn only_scan(&self) -> Option<&Scan<'a>> {
        let is_all = self.first.components.len() == self.frame.components.len();
        (is_all && !self.frame.is_progressive).then_some(&self.first)
    }
}

impl Frame {
    /// Reads a frame header.
    pub(super) fn read(segment: &[u8], is_progressive: bool) -> Result<Self, Error> {
        let (&[precision, h1, h0, w1, w0, count], rest) = segment
            .split_first_chunk()
            .ok_or(Error::Broken("its frame header is invalid"))?;
        if precision != 8 {
            return Err(Error::Unsupported("JPEGs of another depth than 8 bits"));
        }
        let (width, height) = (
            usize::from(u16::from_be_bytes([w1, w0])),
            usize::from(u16::from_be_bytes([h1, h0])),
        );
        if width == 0 || height == 0 || rest.len() != 3 * usize::from(count) {
            return Err(Error::Broken("its frame header is invalid"));
        }
        if width > MAX_LENGTH || height > MAX_LENGTH {
            return Err(Error::Unsupported(
                "JPEGs of more than 65500 pixels in a row or column",
            ));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Error::Unsupported("JPEGs of other than 1, 3 or 4 components"));
        }
        let component = |bytes: &[u8]| Component {
            id: bytes[0],
            across: usize::from(bytes[1] >> 4),
            down: usize::from(bytes[1] & 15),
            table: bytes[2],
        };
        let mut components: Vec<_> = rest.chunks(3).map(component).collect();
        let is_factor = |factor| (1..=4).contains(&factor);
        if !components
            .iter()
            .all(|one| is_factor(one.across) && is_factor(one.down))
        {
            return Err(Error::Broken("its sampling factors are invalid"));
        }
        if let ([only], false) = (components.as_mut_slice(), is_progressive) {
            // Alone in its scan, a component is coded block by block.
            (only.across, only.down) = (1, 1);
        }
        let frame = Self {
            width,
            height,
            is_progressive,
            components,
        };
        let McuGrid { mcu, .. } = McuGrid::of(&frame);
        let is_even = |one: &Component| mcu.0.is_multiple_of(one.across) && mcu.1.is_multiple_of(one.down);
        if !frame.components.iter().all(is_even) {
            return Err(Error::Unsupported(
                "sampling factors that do not divide one another",
            ));
        }
        Ok(frame)
    }
}

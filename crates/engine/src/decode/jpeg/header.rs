//! The headers of a JPEG up to its first scan.

use ::image::metadata::Orientation;

use super::scan::McuGrid;
use super::tables::{Scan, Tables};
use super::{Error, buffer};
use crate::image::Image;

/// Maximum width and height, as in libjpeg.
const MAX_LENGTH: usize = 65_500;

/// All headers up to the data of the first scan.
#[derive(Debug)]
pub(in crate::decode) struct Header<'a> {
    pub(super) frame: Frame,
    pub(super) colours: Colours,
    /// The EXIF orientation.
    pub(in crate::decode) orientation: Option<Orientation>,
    pub(super) first: Scan<'a>,
    /// The tables after the header of the first scan.
    pub(super) tables: Tables<'a>,
}

/// The frame header.
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
    /// Sampling factors: blocks per MCU, horizontally and vertically.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Index of its quantization table.
    pub(super) table: u8,
}

/// Colour space of the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    /// Luma and chroma.
    YCbCr,
    Rgb,
    /// Inverted cyan, magenta, yellow and black: 255 is no ink.
    Cmyk,
    /// CMYK with luma and chroma of the first three.
    Ycck,
}

impl<'a> Header<'a> {
    /// Reads the segments up to the first scan.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if a segment is invalid, [`Error::Truncated`] if the file ends before its first scan, [`Error::Unsupported`] for
    /// processes and parameters that are not implemented.
    ///
    /// # Source
    ///
    /// ITU-T T.81, annex B.2; T.871 (JFIF) for the colour spaces, T.872 for Adobe's segment.
    pub(in crate::decode) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = bytes
            .strip_prefix(&[0xFF, 0xD8])
            .ok_or(Error::Broken("the start-of-image marker is missing"))?;
        let mut tables = Tables::default();
        let first = tables
            .next_scan(&mut rest)?
            .ok_or(Error::Broken("there is no scan"))?;
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

    /// Maximum bytes of memory for decoding at full size: the pixels, and the coefficients if there are several scans. Excludes buffers of
    /// a few rows.
    pub(in crate::decode) fn bytes(&self) -> u64 {
        let pixels = self.frame.width * self.frame.height * Image::CHANNELS;
        let coefficients = match self.only_scan() {
            Some(_) => 0,
            None => buffer::bytes(&self.frame),
        };
        (pixels + coefficients) as u64
    }

    /// Maximum bytes of memory for decoding at a reduced scale, which is at most a quarter in each direction.
    pub(in crate::decode) fn scaled_bytes(&self) -> u64 {
        match self.only_scan() {
            Some(_) => self.bytes() / 16,
            None => self.bytes(),
        }
    }

    /// The scan of a sequential file in which all components are interleaved; `None` for other files.
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
            .ok_or(Error::Broken("the frame header is invalid"))?;
        if precision != 8 {
            return Err(Error::Unsupported("JPEGs of a depth other than 8 bits"));
        }
        let (width, height) = (
            usize::from(u16::from_be_bytes([w1, w0])),
            usize::from(u16::from_be_bytes([h1, h0])),
        );
        if width == 0 || height == 0 || rest.len() != 3 * usize::from(count) {
            return Err(Error::Broken("the frame header is invalid"));
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
            return Err(Error::Broken("the sampling factors are invalid"));
        }
        if let ([only], false) = (components.as_mut_slice(), is_progressive) {
            // A single component is not interleaved: its MCU is one block.
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

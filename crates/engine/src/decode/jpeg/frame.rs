//! The frame header of a JPEG: size, components, and the MCUs that follow from them.

use super::component_buffer::Coefficients;
use super::{Error, SIDE};

/// Maximum width and height, as in libjpeg.
const MAX_LENGTH: usize = 65_500;

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

/// The layout of MCUs in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct McuGrid {
    /// Maximum sampling factors, horizontally and vertically: the size of an MCU in blocks.
    pub(super) mcu: (usize, usize),
    /// MCUs per row, and rows.
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl McuGrid {
    /// The grid of an image.
    pub(super) fn of(frame: &Frame) -> Self {
        let components = || frame.components.iter();
        let mcu = (
            components().map(|one| one.across).max().unwrap_or(1),
            components().map(|one| one.down).max().unwrap_or(1),
        );
        Self {
            mcu,
            columns: frame.width.div_ceil(SIDE * mcu.0),
            rows: frame.height.div_ceil(SIDE * mcu.1),
        }
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

    /// Bytes of the coefficient buffers of an image of several scans.
    pub(super) fn buffer_bytes(&self) -> usize {
        let grid = McuGrid::of(self);
        let blocks = self.components.iter().map(|one| one.across * one.down);
        blocks.sum::<usize>() * grid.columns * grid.rows * (size_of::<Coefficients>() + size_of::<u64>())
    }
}

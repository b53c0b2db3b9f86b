//! The headers of a JPEG up to its first scan.

use ::image::metadata::Orientation;

use super::Error;
use super::frame::{Colours, Frame};
use super::tables::{Scan, Tables};
use crate::image::Image;

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
            None => self.frame.buffer_bytes(),
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

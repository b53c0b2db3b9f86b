//! Marker segments of a JPEG, and its size and channels, read without its decoder.

use std::io::{self, BufRead, Seek};

use super::Error;

/// A marker, and the segment that it starts.
pub(crate) struct Segment {
    /// The second byte of the marker: not 0, a restart (`0xD0..=0xD7`) or `0x01`.
    pub(crate) marker: u8,
    /// Bytes after the length, which are not read yet: 0 for start and end of image, `None` if the length does not count its own two bytes.
    pub(crate) length: Option<u16>,
}

impl Segment {
    /// Reads up to the content of the next segment. Skips stray bytes, as every decoder does, and markers without a segment other than start
    /// and end of image.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if there is none, and errors of `reader`.
    ///
    /// # Source
    ///
    /// ITU-T T.81, annex B.1.1.
    pub(crate) fn next<R: BufRead>(reader: &mut R) -> io::Result<Self> {
        loop {
            reader.skip_until(0xFF)?;
            let mut marker = [0xFF];
            // Fill bytes may precede the code.
            while marker[0] == 0xFF {
                reader.read_exact(&mut marker)?;
            }
            let length = match marker[0] {
                // A stuffed data byte, TEM, restarts.
                0x00 | 0x01 | 0xD0..=0xD7 => continue,
                0xD8 | 0xD9 => Some(0),
                _ => {
                    let mut length = [0; 2];
                    reader.read_exact(&mut length)?;
                    u16::from_be_bytes(length).checked_sub(2)
                }
            };
            return Ok(Self {
                marker: marker[0],
                length,
            });
        }
    }
}

/// The contents of a frame header.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: u8,
}

/// Reads the segments of a JPEG up to its frame header. The decoder would read the whole file.
///
/// # Source
///
/// ITU-T T.81, annex B.2.2.
pub(super) fn frame<R: BufRead + Seek>(reader: &mut R) -> Result<Frame, Error> {
    next_frame(reader).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::NoFrame,
        _ => Error::Io(error),
    })
}

fn next_frame<R: BufRead + Seek>(reader: &mut R) -> io::Result<Frame> {
    loop {
        let Segment { marker, length } = Segment::next(reader)?;
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let mut frame = [0; 6];
                reader.read_exact(&mut frame)?;
                let [_precision, h1, h0, w1, w0, channels] = frame;
                return Ok(Frame {
                    width: u16::from_be_bytes([w1, w0]).into(),
                    height: u16::from_be_bytes([h1, h0]).into(),
                    channels,
                });
            }
            // End of image or start of scan.
            0xD9 | 0xDA => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => reader.seek_relative(length.unwrap_or(0).into())?,
        }
    }
}

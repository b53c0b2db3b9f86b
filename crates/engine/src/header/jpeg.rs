//! Size and channels of a JPEG, read without its decoder.

use std::io::{self, BufRead, Seek};

use super::Error;

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
/// ITU-T T.81, annex B.1.1 (markers) and B.2.2 (frame header).
pub(super) fn frame<R: BufRead + Seek>(reader: &mut R) -> Result<Frame, Error> {
    next_frame(reader).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::NoFrame,
        _ => Error::Io(error),
    })
}

fn next_frame<R: BufRead + Seek>(reader: &mut R) -> io::Result<Frame> {
    loop {
        match next_marker(reader)? {
            // Markers without a segment: start of image, restarts, TEM.
            0xD8 | 0xD0..=0xD7 | 0x01 | 0x00 => {}
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let mut frame = [0; 8];
                reader.read_exact(&mut frame)?;
                let height = u16::from_be_bytes([frame[3], frame[4]]);
                let width = u16::from_be_bytes([frame[5], frame[6]]);
                return Ok(Frame {
                    width: width.into(),
                    height: height.into(),
                    channels: frame[7],
                });
            }
            // End of image or start of scan.
            0xD9 | 0xDA => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {
                let mut length = [0; 2];
                reader.read_exact(&mut length)?;
                let rest = u16::from_be_bytes(length).saturating_sub(2);
                reader.seek_relative(rest.into())?;
            }
        }
    }
}

/// The code of the next marker. Stray bytes before it are skipped, as by every decoder.
fn next_marker<R: BufRead>(reader: &mut R) -> io::Result<u8> {
    let mut byte = [0];
    while byte[0] != 0xFF {
        reader.read_exact(&mut byte)?;
    }
    while byte[0] == 0xFF {
        reader.read_exact(&mut byte)?;
    }
    Ok(byte[0])
}

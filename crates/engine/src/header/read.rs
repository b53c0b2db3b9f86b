//! Format and size of an image file, from its first bytes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read as _, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ::image::{ImageDecoder as _, ImageError, ImageReader};
use rustix::fs::OFlags;

use super::catch_panic::catch_panic;
use super::error::Error;
use super::format::Format;
use super::jpeg;
use super::limits::DecodeLimits;

/// As `i32`, which `OpenOptionsExt::custom_flags` takes.
#[expect(clippy::cast_possible_wrap, reason = "no system has a flag beyond 31 bits")]
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Opens a regular file for reading.
///
/// # Errors
///
/// If the file cannot be opened or is not a regular file. Never blocks, unlike a plain open of a named pipe without a writer.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// Format and size of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format, by signature.
    pub format: Format,
    /// Pixels in a stored row, before any EXIF orientation is applied.
    pub width: u32,
    /// Stored rows.
    pub height: u32,
}

/// Reads the header of an image and checks its size against `limits`. Of a JPEG, only the segments up to the frame header are read.
///
/// # Errors
///
/// Every variant of [`Error`] except [`Error::Empty`] and [`Error::FileTooLarge`]: the size of the file is not checked here.
pub fn read<R: BufRead + Seek>(mut reader: R, limits: &DecodeLimits) -> Result<Header, Error> {
    let format = Format::of(&signature(&mut reader).map_err(Error::Io)?).ok_or(Error::UnknownFormat)?;
    let (width, height) = match format {
        Format::Jpeg => {
            let frame = jpeg::frame(&mut reader)?;
            (frame.width, frame.height)
        }
        _ => catch_panic(|| codec_size(format, reader, limits))
            .map_err(|message| Error::Panicked { format, message })??,
    };
    limits.check_size(width, height)?;
    Ok(Header {
        format,
        width,
        height,
    })
}

/// The number of components of a JPEG: 1 for greyscale, 3 for RGB, 4 for CMYK.
///
/// # Errors
///
/// [`Error::NoFrame`] if there is no frame header, [`Error::Io`] if reading fails.
pub fn jpeg_channels<R: BufRead + Seek>(mut reader: R) -> Result<u8, Error> {
    Ok(jpeg::frame(&mut reader)?.channels)
}

fn signature<R: BufRead + Seek>(reader: &mut R) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(16);
    reader.by_ref().take(16).read_to_end(&mut start)?;
    reader.seek(SeekFrom::Start(0))?;
    Ok(start)
}

fn codec_size<R: BufRead + Seek>(
    format: Format,
    reader: R,
    limits: &DecodeLimits,
) -> Result<(u32, u32), Error> {
    let mut reader = ImageReader::with_format(reader, format.codec());
    reader.limits(limits.for_codec());
    match reader.into_decoder() {
        Ok(decoder) => Ok(decoder.dimensions()),
        Err(ImageError::IoError(source)) if source.kind() != io::ErrorKind::UnexpectedEof => {
            Err(Error::Io(source))
        }
        Err(source) => Err(Error::Broken { format, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ::image::{DynamicImage, RgbImage};

    use super::*;

    fn encoded(format: Format) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(RgbImage::new(31, 17))
            .write_to(&mut bytes, format.codec())
            .unwrap();
        bytes.into_inner()
    }

    const ALL: [Format; 5] = [Format::Jpeg, Format::Png, Format::WebP, Format::Bmp, Format::Gif];

    #[test]
    fn every_format_is_detected_by_its_content() {
        for format in ALL {
            let header = read(Cursor::new(encoded(format)), &DecodeLimits::default()).unwrap();
            assert_eq!(
                header,
                Header {
                    format,
                    width: 31,
                    height: 17
                }
            );
        }
    }

    #[test]
    fn every_extension_has_a_format() {
        let formats = Format::EXTENSIONS.map(Format::of_extension);
        assert!(ALL.iter().all(|format| formats.contains(&Some(*format))));
        assert!(!formats.contains(&None));
        assert_eq!(Format::of_extension("jp2"), None);
    }

    #[test]
    fn no_truncated_file_panics_and_the_whole_is_accepted() {
        for format in ALL {
            let bytes = encoded(format);
            for length in 0..bytes.len() {
                let _ = read(Cursor::new(&bytes[..length]), &DecodeLimits::default());
            }
            assert!(
                read(Cursor::new(&bytes), &DecodeLimits::default()).is_ok(),
                "{format:?}"
            );
        }
    }

    #[test]
    fn an_image_one_pixel_over_the_limit_is_rejected() {
        let bytes = encoded(Format::Jpeg);
        let limits = |max_pixels| DecodeLimits {
            max_pixels,
            ..DecodeLimits::default()
        };
        assert!(read(Cursor::new(&bytes), &limits(31 * 17)).is_ok());
        let error = read(Cursor::new(&bytes), &limits(31 * 17 - 1)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooManyPixels {
                    width: 31,
                    height: 17,
                    limit: 526
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn stray_bytes_between_jpeg_segments_are_skipped() {
        let mut bytes = encoded(Format::Jpeg);
        // After the first segment, whose marker belongs to the signature.
        let after = 4 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        bytes.splice(after..after, [0, 1, 2, 0xFF, 0xFF]);
        let header = read(Cursor::new(bytes), &DecodeLimits::default()).unwrap();
        assert_eq!((header.width, header.height), (31, 17));
    }

    #[test]
    fn other_content_is_an_unknown_format() {
        for bytes in [&b""[..], b"GIF", b"<svg></svg>", b"II*\0........"] {
            assert!(matches!(
                read(Cursor::new(bytes), &DecodeLimits::default()),
                Err(Error::UnknownFormat)
            ));
        }
    }
}

//! What the first bytes of an image file say: its format and size, before any pixel is decoded.
//!
//! The format is taken from the content, never from the name. A file is judged here by its header alone, against [`DecodeLimits`], so that
//! a file that promises more pixels than allowed costs no memory.

mod error;
mod jpeg;
mod limits;

pub use error::Error;
pub use limits::DecodeLimits;

use std::any::Any;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read as _, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::image::{ImageDecoder as _, ImageError, ImageFormat, ImageReader};
use rustix::fs::OFlags;

/// As the standard library takes flags. No system has a flag beyond 31 bits.
#[expect(clippy::cast_possible_wrap, reason = "see above")]
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Opens a regular file for reading.
///
/// # Errors
///
/// If the system refuses, and for files of other kinds. Never blocks: opening a named pipe that nobody writes to would, for ever.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Baseline and progressive JPEG.
    Jpeg,
    /// PNG; of an animation the default image.
    Png,
    /// WebP, lossy and lossless; of an animation the first frame.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// GIF; of an animation the first frame.
    Gif,
}

impl Format {
    /// File name extensions of all formats, in lower case.
    pub const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

    /// Extensions of image formats that are not read, in lower case, and the formats' names.
    pub const UNSUPPORTED: [(&str, &str); 8] = [
        ("avif", "AVIF"),
        ("heic", "HEIC"),
        ("heif", "HEIC"),
        ("jp2", "JPEG 2000"),
        ("jxl", "JPEG XL"),
        ("svg", "SVG"),
        ("tif", "TIFF"),
        ("tiff", "TIFF"),
    ];

    /// The format that files with this extension, in lower case, are taken for.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::WebP),
            "bmp" => Some(Self::Bmp),
            "gif" => Some(Self::Gif),
            _ => None,
        }
    }

    /// The format whose signature `start` begins with. Sixteen bytes are enough.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        match ::image::guess_format(start).ok()? {
            ImageFormat::Jpeg => Some(Self::Jpeg),
            ImageFormat::Png => Some(Self::Png),
            ImageFormat::WebP => Some(Self::WebP),
            ImageFormat::Bmp => Some(Self::Bmp),
            ImageFormat::Gif => Some(Self::Gif),
            _ => None,
        }
    }

    /// The name that people know the format by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
        }
    }

    pub(crate) fn codec(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
            Self::Bmp => ImageFormat::Bmp,
            Self::Gif => ImageFormat::Gif,
        }
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// By content.
    pub format: Format,
    /// Pixels in a stored row, before any orientation is applied.
    pub width: u32,
    /// Stored rows.
    pub height: u32,
}

/// Reads the header of an image and holds its size against `limits`. Of a JPEG, only the segments before its frame are read.
///
/// # Errors
///
/// Every variant of [`Error`] but those about the size of the file, which `reader` does not know.
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

/// Runs `decode`, and returns the message of a panic as an error: no decoder's defect may end a worker. Needs `panic = "unwind"`.
pub(crate) fn catch_panic<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    // Unwind safety: what `decode` could leave half-written is dropped with its unwound frames.
    catch_unwind(AssertUnwindSafe(decode)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

/// The number of colour channels of a JPEG: 1 for grey, 3 for RGB, 4 for CMYK.
///
/// # Errors
///
/// [`Error::NoFrame`] and [`Error::Io`].
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
    fn every_format_is_known_by_its_content() {
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
    fn every_extension_stands_for_a_format() {
        let formats = Format::EXTENSIONS.map(Format::of_extension);
        assert!(ALL.iter().all(|format| formats.contains(&Some(*format))));
        assert!(!formats.contains(&None));
        assert_eq!(Format::of_extension("jp2"), None);
    }

    #[test]
    fn no_prefix_of_a_file_panics_and_the_whole_is_accepted() {
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
    fn a_size_over_the_limit_is_refused_at_the_exact_pixel() {
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
    fn a_panic_becomes_a_message() {
        assert_eq!(
            catch_panic(|| panic!("boom {}", 1)).map(|()| 0),
            Err("boom 1".to_owned())
        );
        assert_eq!(catch_panic(|| panic!("boom")).map(|()| 0), Err("boom".to_owned()));
        assert_eq!(catch_panic(|| 3), Ok(3));
    }

    #[test]
    fn stray_bytes_between_jpeg_segments_are_passed_over() {
        let mut bytes = encoded(Format::Jpeg);
        // Behind the first segment: its marker belongs to the signature.
        let behind = 4 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        bytes.splice(behind..behind, [0, 1, 2, 0xFF, 0xFF]);
        let header = read(Cursor::new(bytes), &DecodeLimits::default()).unwrap();
        assert_eq!((header.width, header.height), (31, 17));
    }

    #[test]
    fn other_content_is_unknown() {
        for bytes in [&b""[..], b"GIF", b"<svg></svg>", b"II*\0........"] {
            assert!(matches!(
                read(Cursor::new(bytes), &DecodeLimits::default()),
                Err(Error::UnknownFormat)
            ));
        }
    }
}

//! What the first bytes of an image file say: its format and size, before any pixel is decoded.
//!
//! The format is taken from the content, never from the name. A file is judged here by its header alone, against [`Limits`], so that
//! a file that promises more pixels than allowed costs no memory.

use std::any::Any;
use std::io::{self, BufRead, Read as _, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::image::{ImageDecoder as _, ImageError, ImageFormat, ImageReader};

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

/// What one image file may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pixels of the decoded image. Default: 100 million, twice what the largest common cameras make.
    pub max_pixels: u64,
    /// Bytes of the file. Default: 256 MiB.
    pub max_file_bytes: u64,
    /// Bytes that a decoder may allocate, output included; decoders keep to it as well as they can. Default: 1 GiB, which 100 million
    /// pixels of 16-bit colour with transparency fit in.
    pub max_allocation: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_file_bytes: 256 << 20,
            max_allocation: 1 << 30,
        }
    }
}

impl Limits {
    /// Accepts a file of `bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::FileTooLarge`].
    pub fn check_file(&self, bytes: u64) -> Result<(), Error> {
        match bytes {
            0 => Err(Error::Empty),
            _ if bytes > self.max_file_bytes => Err(Error::FileTooLarge {
                bytes,
                limit: self.max_file_bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Accepts an image of `width` x `height` pixels.
    ///
    /// # Errors
    ///
    /// [`Error::NoPixels`] and [`Error::TooManyPixels`].
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), Error> {
        match u64::from(width) * u64::from(height) {
            0 => Err(Error::NoPixels { width, height }),
            pixels if pixels > self.max_pixels => Err(Error::TooManyPixels {
                width,
                height,
                limit: self.max_pixels,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn for_codec(&self) -> ::image::Limits {
        let mut limits = ::image::Limits::no_limits();
        limits.max_alloc = Some(self.max_allocation);
        limits
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

/// Why a file is refused by its header.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Data: no bytes.
    #[error("the file is empty")]
    Empty,
    /// Data: a side is 0.
    #[error("the header says {width}x{height} pixels")]
    NoPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Data: the header cannot be parsed.
    #[error("cannot read the {} header", format.name())]
    Broken {
        /// By signature.
        format: Format,
        /// What the decoder says.
        #[source]
        source: ImageError,
    },
    /// Data: a JPEG ends, or its pixels begin, before its size is said.
    #[error("the JPEG header does not say the size of the image")]
    NoFrame,
    /// Data: the decoder panicked.
    #[error("the {} decoder panicked on the header: {message}", format.name())]
    Panicked {
        /// By signature.
        format: Format,
        /// The panic's message.
        message: String,
    },
    /// Limit: more bytes than allowed.
    #[error("the file has {bytes} bytes, {limit} are allowed")]
    FileTooLarge {
        /// Size of the file.
        bytes: u64,
        /// [`Limits::max_file_bytes`].
        limit: u64,
    },
    /// Limit: more pixels than allowed.
    #[error("the header says {width}x{height} pixels, {limit} are allowed")]
    TooManyPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// [`Limits::max_pixels`].
        limit: u64,
    },
    /// Unsupported: the content is none of the formats read.
    #[error("the content is not JPEG, PNG, WebP, BMP or GIF")]
    UnknownFormat,
    /// Io: the file cannot be read.
    #[error("cannot read the file")]
    Io(#[source] io::Error),
}

/// Reads the header of an image and holds its size against `limits`. Of a JPEG, only the segments before its frame are read.
///
/// # Errors
///
/// Every variant of [`Error`] but those about the size of the file, which `reader` does not know.
pub fn read<R: BufRead + Seek>(mut reader: R, limits: &Limits) -> Result<Header, Error> {
    let format = Format::of(&signature(&mut reader).map_err(Error::Io)?).ok_or(Error::UnknownFormat)?;
    let (width, height) = match format {
        Format::Jpeg => jpeg_size(&mut reader)?,
        _ => caught(|| codec_size(format, reader, limits))
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
pub(crate) fn caught<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    // Unwind safety: what `decode` could leave half-written is dropped with its unwound frames.
    catch_unwind(AssertUnwindSafe(decode)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

fn signature<R: BufRead + Seek>(reader: &mut R) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(16);
    reader.by_ref().take(16).read_to_end(&mut start)?;
    reader.seek(SeekFrom::Start(0))?;
    Ok(start)
}

fn codec_size<R: BufRead + Seek>(format: Format, reader: R, limits: &Limits) -> Result<(u32, u32), Error> {
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

/// Walks the segments of a JPEG to its frame header. The decoder would read the whole file for this.
///
/// # Source
///
/// ITU-T T.81, annex B.1.1 (markers) and B.2.2 (frame header).
fn jpeg_size<R: BufRead + Seek>(reader: &mut R) -> Result<(u32, u32), Error> {
    jpeg_frame(reader).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::NoFrame,
        _ => Error::Io(error),
    })
}

fn jpeg_frame<R: BufRead + Seek>(reader: &mut R) -> io::Result<(u32, u32)> {
    loop {
        match next_marker(reader)? {
            // Start of image, restarts, TEM: no segment follows.
            0xD8 | 0xD0..=0xD7 | 0x01 | 0x00 => {}
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let mut frame = [0; 7];
                reader.read_exact(&mut frame)?;
                let height = u16::from_be_bytes([frame[3], frame[4]]);
                let width = u16::from_be_bytes([frame[5], frame[6]]);
                return Ok((width.into(), height.into()));
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

/// The next marker's code. Bytes before it that belong to no segment are passed over, as every decoder does.
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
            let header = read(Cursor::new(encoded(format)), &Limits::default()).unwrap();
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
    fn no_prefix_of_a_file_panics_and_the_whole_is_accepted() {
        for format in ALL {
            let bytes = encoded(format);
            for length in 0..bytes.len() {
                let _ = read(Cursor::new(&bytes[..length]), &Limits::default());
            }
            assert!(
                read(Cursor::new(&bytes), &Limits::default()).is_ok(),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_size_over_the_limit_is_refused_at_the_exact_pixel() {
        let bytes = encoded(Format::Jpeg);
        let limits = |max_pixels| Limits {
            max_pixels,
            ..Limits::default()
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
            caught(|| panic!("boom {}", 1)).map(|()| 0),
            Err("boom 1".to_owned())
        );
        assert_eq!(caught(|| panic!("boom")).map(|()| 0), Err("boom".to_owned()));
        assert_eq!(caught(|| 3), Ok(3));
    }

    #[test]
    fn stray_bytes_between_jpeg_segments_are_passed_over() {
        let mut bytes = encoded(Format::Jpeg);
        bytes.splice(2..2, [0, 1, 2, 0xFF, 0xFF]);
        assert_eq!(jpeg_size(&mut Cursor::new(bytes)).unwrap(), (31, 17));
    }

    #[test]
    fn other_content_is_unknown() {
        for bytes in [&b""[..], b"GIF", b"<svg></svg>", b"II*\0........"] {
            assert!(matches!(
                read(Cursor::new(bytes), &Limits::default()),
                Err(Error::UnknownFormat)
            ));
        }
    }
}

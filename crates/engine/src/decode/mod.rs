//! Bytes of a file to pixels.
//!
//! JPEG, PNG, WebP, BMP and GIF, by content; of an animation the first frame. Everything becomes 8-bit RGB: grey is replicated,
//! transparency is dropped (not composited), 16 bits are rounded to 8, the inks of a CMYK JPEG become the light that they leave. Colour
//! profiles are not applied. The orientation in EXIF data is applied unless the options say otherwise. Large JPEGs are decoded to a quarter or an eighth
//! of their size where that is enough ([`decode_canonical`]).
//!
//! Any bytes give an image or an [`Error`], never a panic, and no file takes more memory than its [`Limits`] allow.

mod canonical;
mod complete;
mod error;
mod file;
mod jpeg;
mod pixels;
mod scratch;
mod shrink;

pub use canonical::{canonical, canonical_short_side, canonical_size, resized};
pub use error::{Blame, Error};
pub use file::read;
pub use jpeg::Error as JpegError;

pub use crate::header::Limits;

use std::io::Cursor;
use std::sync::Arc;

use ::image::metadata::Orientation as Turn;
use ::image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

use self::canonical::resized_part;
use self::jpeg::Header as JpegHeader;
use self::jpeg::reduced::{self, Reduced, Scale};
use self::jpeg::whole::{self, Kept};
use self::scratch::{Scratch, with_scratch};
use self::shrink::Source;
use crate::dataset::Orientation;
use crate::header::{self, Format};
use crate::image::Image;
use crate::memory::{Budget, Permit};

/// How a file is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Whether EXIF orientation turns the image.
    pub orientation: Orientation,
    /// What the file may cost.
    pub limits: Limits,
}

/// Decodes the bytes of one file, all pixels of it.
///
/// # Determinism
///
/// A function of the arguments.
///
/// # Errors
///
/// As [`decode_canonical`].
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Image, Error> {
    decode_canonical(bytes, options, None)
}

/// Decodes the bytes of one file to its [`canonical()`] image, in time and memory that follow from what is needed: of a large JPEG, no more
/// is decoded than the means of squares of pixels, where they are fine enough.
///
/// # Determinism
///
/// A function of the arguments. Which way is taken follows from the file's header and `short_side`.
///
/// # Errors
///
/// Every variant of [`Error`] but those about files. A truncated file is an error even where the missing part is small: half an image
/// padded with grey would be trained on.
pub fn decode_canonical(
    bytes: &[u8],
    options: &DecodeOptions,
    short_side: Option<u32>,
) -> Result<Image, Error> {
    decode_within(bytes, options, short_side, None).map(|(image, _)| image)
}

/// As [`decode_canonical`], where all decoders together take no more than `memory`: waits until there is enough for what the file's header
/// says that it takes. That is free again when the permit is dropped, which is not before the image: its pixels are a part of it.
///
/// # Errors
///
/// As [`decode_canonical`], and [`Error::TooMuchMemory`] for what takes more than there is for decoders.
pub fn decode_within(
    bytes: &[u8],
    options: &DecodeOptions,
    short_side: Option<u32>,
    memory: Option<&Arc<Budget>>,
) -> Result<(Image, Option<Permit>), Error> {
    options.limits.check_file(bytes.len() as u64)?;
    let format = header::read(Cursor::new(bytes), &options.limits)?.format;
    if format == Format::WebP && !complete::is_complete(bytes) {
        return Err(Error::Truncated { format });
    }
    guarded(format, || {
        decode_with_codec(format, bytes, options, (short_side, memory))
    })
}

/// Runs a decoder; a panic of it is an error of the data that it was given.
fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    header::caught(decode).map_err(|message| Error::Panicked { format, message })?
}

fn decode_with_codec(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
    wanted: Wanted<'_>,
) -> Result<(Image, Option<Permit>), Error> {
    let Lying { image, turn, memory } = match format {
        Format::Jpeg => by_us(bytes, options, wanted)?,
        _ => by_library(format, bytes, options, wanted)?,
    };
    // Last, when there is least to turn.
    Ok((turned(image, turn), memory))
}

/// The short side that is wanted, and what the decoder's memory is taken of.
type Wanted<'a> = (Option<u32>, Option<&'a Arc<Budget>>);

/// An image as it lies in its file.
struct Lying {
    image: Image,
    /// How it is to be turned.
    turn: Turn,
    /// For all that is done with it.
    memory: Option<Permit>,
}

impl Lying {
    /// Bytes of the images that are made of one of this size as a decoder gives it: a smaller one, and a turned one.
    fn bytes((width, height): (u32, u32), short_side: Option<u32>, turn: Turn) -> u64 {
        let size = canonical_size(width, height, short_side);
        let count = u64::from(size != (width, height)) + u64::from(turn != Turn::NoTransforms);
        count * u64::from(size.0) * u64::from(size.1) * Image::CHANNELS as u64
    }
}

/// How an image with this orientation is to be turned.
fn turn(options: &DecodeOptions, found: Option<Turn>) -> Turn {
    match options.orientation {
        Orientation::Apply => found.unwrap_or(Turn::NoTransforms),
        Orientation::Ignore => Turn::NoTransforms,
    }
}

/// A JPEG.
fn by_us(bytes: &[u8], options: &DecodeOptions, (short_side, memory): Wanted<'_>) -> Result<Lying, Error> {
    let header = JpegHeader::read(bytes)?;
    let (width, height) = header.size();
    check_output(&options.limits, (width, height), header.bytes())?;
    let turn = turn(options, header.orientation);
    let beside = Lying::bytes((width, height), short_side, turn);
    let admit = |bytes| memory.map(|memory| admit(memory, bytes + beside)).transpose();
    if let Some(scale) = short_side.and_then(|side| Scale::of((width, height), side)) {
        let memory = admit(header.reduced_bytes())?;
        if let Some(Reduced { image, size }) = reduced::decode(&header, scale)? {
            let image = resized_part(&image, size, canonical_size(width, height, short_side));
            return Ok(Lying { image, turn, memory });
        }
    }
    let memory = admit(header.bytes())?;
    let image = shrunk((width, height), short_side, |pixels, kept| {
        whole::decode(&header, kept, pixels)
    })?;
    Ok(Lying { image, turn, memory })
}

/// An image of another format.
fn by_library(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
    (short_side, memory): Wanted<'_>,
) -> Result<Lying, Error> {
    let limits = &options.limits;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.codec());
    reader.limits(limits.for_codec());
    let mut decoder = reader
        .into_decoder()
        .map_err(|source| Error::Corrupt { format, source })?;
    let size = decoder.dimensions();
    check_output(limits, size, decoder.total_bytes())?;
    let pixels = u64::from(size.0) * u64::from(size.1);
    // Broken EXIF data says nothing about the pixels: the image is taken as it lies.
    let turn = turn(options, decoder.orientation().ok());
    let taken = decoder.total_bytes() + pixels * by_pixel(format) + Lying::bytes(size, short_side, turn);
    let memory = memory.map(|memory| admit(memory, taken)).transpose()?;
    let image = shrunk(size, short_side, |pixels, _| pixels::rgb(format, decoder, pixels))?;
    Ok(Lying { image, turn, memory })
}

/// Bytes for each pixel that a decoder of the library and the way to RGB take beside the decoder's output.
fn by_pixel(format: Format) -> u64 {
    match format {
        // Ours says what it takes.
        Format::Jpeg => 0,
        // A frame on its canvas.
        Format::Gif | Format::WebP => 7,
        Format::Png | Format::Bmp => 3,
    }
}

/// Waits for `bytes` of the `memory` that decoders share, or files.
///
/// # Errors
///
/// [`Error::TooMuchMemory`], if there are never as many.
pub fn admit(memory: &Arc<Budget>, bytes: u64) -> Result<Permit, Error> {
    let limit = memory.reserve();
    if bytes > limit {
        return Err(Error::TooMuchMemory { bytes, limit });
    }
    Ok(memory.take(bytes))
}

/// Holds the size of an image, and the bytes that its decoder gives, against `limits`.
fn check_output(limits: &Limits, (width, height): (u32, u32), bytes: u64) -> Result<(), Error> {
    limits.check_size(width, height)?;
    if bytes > limits.max_allocation {
        let limit = limits.max_allocation;
        return Err(Error::TooMuchMemory { bytes, limit });
    }
    Ok(())
}

/// The canonical image of all pixels, which `decode` makes.
fn shrunk<E>(
    (width, height): (u32, u32),
    short_side: Option<u32>,
    decode: impl FnOnce(&mut Vec<u8>, &mut Kept) -> Result<(), E>,
) -> Result<Image, E> {
    let size = canonical_size(width, height, short_side);
    with_scratch(
        |Scratch {
             pixels,
             kept,
             shrinker,
         }| {
            if size == (width, height) {
                let mut pixels = vec![];
                decode(&mut pixels, kept)?;
                return Ok(Image::new(width, height, pixels));
            }
            decode(pixels, kept)?;
            let source = Source {
                pixels,
                size: (width, height),
                part: (width.into(), height.into()),
            };
            Ok(shrinker.shrink(source, size))
        },
    )
}

fn turned(image: Image, turn: Turn) -> Image {
    if turn == Turn::NoTransforms {
        return image;
    }
    let pixels = RgbImage::from_raw(image.width(), image.height(), image.into_pixels());
    let mut image = DynamicImage::ImageRgb8(pixels.expect("three bytes for every pixel"));
    image.apply_orientation(turn);
    let image = image.into_rgb8();
    Image::new(image.width(), image.height(), image.into_raw())
}

#[cfg(test)]
mod tests;

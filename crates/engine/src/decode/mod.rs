//! Bytes of a file to pixels.
//!
//! JPEG, PNG, WebP, BMP and GIF, by content; of an animation the first frame. Everything becomes 8-bit RGB: grey is replicated,
//! transparency is dropped (not composited), 16 bits are rounded to 8, the inks of a CMYK JPEG become the light that they leave. Colour
//! profiles are not applied. The orientation in EXIF data is applied unless the options say otherwise. Large JPEGs are decoded to a quarter or an eighth
//! of their size where that is enough ([`decode_canonical`]).
//!
//! Any bytes give an image or an [`Error`], never a panic, and no file takes more memory than its [`DecodeLimits`] allow.

mod canonical;
mod error;
mod file;
mod jpeg;
mod pixels;
mod resize;
mod scratch;
mod truncation;

pub use canonical::{canonical, canonical_short_side, canonical_size, resized};
pub use error::{Blame, Error};
pub use file::read;
pub use jpeg::Error as JpegError;

pub use crate::header::DecodeLimits;

use std::io::Cursor;
use std::sync::Arc;

use ::image::metadata::Orientation as ExifOrientation;
use ::image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

use self::canonical::resize_part;
use self::jpeg::Header as JpegHeader;
use self::jpeg::full::{self, JpegScratch};
use self::jpeg::scaled::{self, Scale, ScaledImage};
use self::resize::ResizeInput;
use self::scratch::{DecodeScratch, with_scratch};
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
    pub limits: DecodeLimits,
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
    decode_within(bytes, options, short_side, None)
}

/// As [`decode_canonical`], where all decoders together take no more than `memory`: waits until there is enough for what the file's header
/// says that it takes.
///
/// # Errors
///
/// As [`decode_canonical`], and [`Error::TooMuchMemory`] for what takes more than there is for decoders.
pub fn decode_within(
    bytes: &[u8],
    options: &DecodeOptions,
    short_side: Option<u32>,
    memory: Option<&Arc<Budget>>,
) -> Result<Image, Error> {
    options.limits.check_file(bytes.len() as u64)?;
    let format = header::read(Cursor::new(bytes), &options.limits)?.format;
    if format == Format::WebP && !truncation::is_riff_complete(bytes) {
        return Err(Error::Truncated { format });
    }
    catch_decoder_panic(format, || {
        decode_with_codec(format, bytes, options, (short_side, memory))
    })
}

/// Runs a decoder; a panic of it is an error of the data that it was given.
fn catch_decoder_panic(
    format: Format,
    decode: impl FnOnce() -> Result<Image, Error>,
) -> Result<Image, Error> {
    header::catch_panic(decode).map_err(|message| Error::Panicked { format, message })?
}

fn decode_with_codec(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
    wanted: Wanted<'_>,
) -> Result<Image, Error> {
    let (lying, turn) = match format {
        Format::Jpeg => decode_jpeg(bytes, &options.limits, wanted)?,
        _ => decode_with_image(format, bytes, &options.limits, wanted)?,
    };
    // Last, when there is least to turn.
    Ok(match options.orientation {
        Orientation::Apply => apply_orientation(lying, turn),
        Orientation::Ignore => lying,
    })
}

/// The short side that is wanted, and what the decoder's memory is taken of.
type Wanted<'a> = (Option<u32>, Option<&'a Arc<Budget>>);

/// A JPEG as it lies, and how it is to be turned.
fn decode_jpeg(
    bytes: &[u8],
    limits: &DecodeLimits,
    (short_side, memory): Wanted<'_>,
) -> Result<(Image, ExifOrientation), Error> {
    let header = JpegHeader::read(bytes)?;
    let (width, height) = header.size();
    check_output(limits, (width, height), header.bytes())?;
    let turn = header.orientation.unwrap_or(ExifOrientation::NoTransforms);
    if let Some(scale) = short_side.and_then(|side| Scale::of((width, height), side)) {
        let _permit = reserve_memory(memory, header.scaled_bytes())?;
        if let Some(ScaledImage { image, size }) = scaled::decode(&header, scale)? {
            let lying = resize_part(&image, size, canonical_size(width, height, short_side));
            return Ok((lying, turn));
        }
    }
    let _permit = reserve_memory(memory, header.bytes())?;
    let lying = decode_and_resize((width, height), short_side, |pixels, kept| {
        full::decode(&header, kept, pixels)
    })?;
    Ok((lying, turn))
}

/// An image as it lies, and how it is to be turned.
fn decode_with_image(
    format: Format,
    bytes: &[u8],
    limits: &DecodeLimits,
    (short_side, memory): Wanted<'_>,
) -> Result<(Image, ExifOrientation), Error> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.codec());
    reader.limits(limits.for_codec());
    let mut decoder = reader
        .into_decoder()
        .map_err(|source| Error::Corrupt { format, source })?;
    let size = decoder.dimensions();
    check_output(limits, size, decoder.total_bytes())?;
    let pixels = u64::from(size.0) * u64::from(size.1);
    let _permit = reserve_memory(
        memory,
        decoder.total_bytes() + pixels * extra_bytes_per_pixel(format),
    )?;
    // Broken EXIF data says nothing about the pixels: the image is taken as it lies.
    let turn = decoder.orientation().unwrap_or(ExifOrientation::NoTransforms);
    let lying = decode_and_resize(size, short_side, |pixels, _| pixels::rgb(format, decoder, pixels))?;
    Ok((lying, turn))
}

/// Bytes for each pixel that a decoder of the library and the way to RGB take beside the decoder's output.
fn extra_bytes_per_pixel(format: Format) -> u64 {
    match format {
        // Ours says what it takes.
        Format::Jpeg => 0,
        // A frame on its canvas.
        Format::Gif | Format::WebP => 7,
        Format::Png | Format::Bmp => 3,
    }
}

/// Waits for `bytes` of the memory that decoders share.
fn reserve_memory(memory: Option<&Arc<Budget>>, bytes: u64) -> Result<Option<Permit>, Error> {
    let Some(memory) = memory else { return Ok(None) };
    let limit = memory.reserve();
    if bytes > limit {
        return Err(Error::TooMuchMemory { bytes, limit });
    }
    Ok(Some(memory.take(bytes)))
}

/// Holds the size of an image, and the bytes that its decoder gives, against `limits`.
fn check_output(limits: &DecodeLimits, (width, height): (u32, u32), bytes: u64) -> Result<(), Error> {
    limits.check_size(width, height)?;
    if bytes > limits.max_allocation {
        let limit = limits.max_allocation;
        return Err(Error::TooMuchMemory { bytes, limit });
    }
    Ok(())
}

/// The canonical image of all pixels, which `decode` makes.
fn decode_and_resize<E>(
    (width, height): (u32, u32),
    short_side: Option<u32>,
    decode: impl FnOnce(&mut Vec<u8>, &mut JpegScratch) -> Result<(), E>,
) -> Result<Image, E> {
    let size = canonical_size(width, height, short_side);
    with_scratch(
        |DecodeScratch {
             pixels,
             kept,
             resizer,
         }| {
            if size == (width, height) {
                let mut pixels = vec![];
                decode(&mut pixels, kept)?;
                return Ok(Image::new(width, height, pixels));
            }
            decode(pixels, kept)?;
            let source = ResizeInput {
                pixels,
                size: (width, height),
                part: (width.into(), height.into()),
            };
            Ok(resizer.resize(source, size))
        },
    )
}

fn apply_orientation(image: Image, turn: ExifOrientation) -> Image {
    if turn == ExifOrientation::NoTransforms {
        return image;
    }
    let pixels = RgbImage::from_raw(image.width(), image.height(), image.pixels().to_vec());
    let mut image = DynamicImage::ImageRgb8(pixels.expect("three bytes for every pixel"));
    image.apply_orientation(turn);
    let image = image.into_rgb8();
    Image::new(image.width(), image.height(), image.into_raw())
}

#[cfg(test)]
mod tests;

//! Decodes a file of any format to its canonical image.

use std::io::Cursor;
use std::sync::Arc;

use ::image::metadata::Orientation as ExifOrientation;
use ::image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

use super::canonical::{canonical_size, resize_part};
use super::error::Error;
use super::jpeg::Header as JpegHeader;
use super::jpeg::full::{self, JpegScratch};
use super::jpeg::scaled::{self, Scale, ScaledImage};
use super::memory::{check_output, extra_bytes_per_pixel, reserve_for_decoder};
use super::resize::ResizeInput;
use super::scratch::{DecodeScratch, with_scratch};
use super::{pixels, truncation};
use crate::dataset::Orientation;
use crate::header::{self, DecodeLimits, Format};
use crate::image::Image;
use crate::memory::{Budget, Permit};

/// Options of decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Whether the EXIF orientation is applied.
    pub orientation: Orientation,
    /// Resource limits per file.
    pub limits: DecodeLimits,
}

/// Decodes a file at its full size.
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

/// Decodes a file to its [`canonical`](super::canonical()) image. A JPEG much larger than `short_side` is decoded at a quarter or an eighth of its size
/// (block averages), which needs less time and memory.
///
/// # Determinism
///
/// A function of the arguments. The decoding scale depends only on the file's header and `short_side`.
///
/// # Errors
///
/// Every variant of [`Error`] except [`Error::Io`], [`Error::Vanished`], [`Error::Changed`] and [`Error::Rewritten`]. A truncated file is
/// an error even if the missing part is small, so that no image padded with grey is trained on.
pub fn decode_canonical(
    bytes: &[u8],
    options: &DecodeOptions,
    short_side: Option<u32>,
) -> Result<Image, Error> {
    decode_within(bytes, options, short_side, None).map(|(image, _)| image)
}

/// As [`decode_canonical`], with a memory budget shared by all decoders: waits until `memory` has the amount that decoding needs according
/// to the header. They are free again when the permit is dropped, which must not be before the image: its pixels are a part of them.
///
/// # Errors
///
/// As [`decode_canonical`]; also [`Error::TooMuchMemory`] if decoding needs more than the whole budget.
pub fn decode_within(
    bytes: &[u8],
    options: &DecodeOptions,
    short_side: Option<u32>,
    memory: Option<&Arc<Budget>>,
) -> Result<(Image, Option<Permit>), Error> {
    options.limits.check_file(bytes.len() as u64)?;
    let format = header::read(Cursor::new(bytes), &options.limits)?.format;
    if format == Format::WebP && !truncation::is_riff_complete(bytes) {
        return Err(Error::Truncated { format });
    }
    catch_decoder_panic(format, || {
        decode_with_codec(format, bytes, options, (short_side, memory))
    })
}

/// Runs a decoder and converts a panic to [`Error::Panicked`].
fn catch_decoder_panic<T>(format: Format, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    header::catch_panic(decode).map_err(|message| Error::Panicked { format, message })?
}

fn decode_with_codec(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
    wanted: Wanted<'_>,
) -> Result<(Image, Option<Permit>), Error> {
    let Decoded {
        image,
        orientation,
        memory,
    } = match format {
        Format::Jpeg => decode_jpeg(bytes, options, wanted)?,
        _ => decode_with_image(format, bytes, options, wanted)?,
    };
    // Last, because the image is smallest here.
    Ok((apply_orientation(image, orientation), memory))
}

/// The canonical short side, and the budget from which decoding memory is reserved.
type Wanted<'a> = (Option<u32>, Option<&'a Arc<Budget>>);

/// An image before its orientation is applied.
struct Decoded {
    image: Image,
    /// To be applied.
    orientation: ExifOrientation,
    /// For the decoder and for all that is made of the image.
    memory: Option<Permit>,
}

/// Bytes of the images that are made of a decoded one of this size: a smaller one, and an upright one.
fn derived_bytes((width, height): (u32, u32), short_side: Option<u32>, orientation: ExifOrientation) -> u64 {
    let size = canonical_size(width, height, short_side);
    let count = u64::from(size != (width, height)) + u64::from(orientation != ExifOrientation::NoTransforms);
    count * u64::from(size.0) * u64::from(size.1) * Image::CHANNELS as u64
}

/// The orientation to apply to an image of orientation `found`.
fn to_apply(options: &DecodeOptions, found: Option<ExifOrientation>) -> ExifOrientation {
    match options.orientation {
        Orientation::Apply => found.unwrap_or(ExifOrientation::NoTransforms),
        Orientation::Ignore => ExifOrientation::NoTransforms,
    }
}

/// Decodes a JPEG.
fn decode_jpeg(
    bytes: &[u8],
    options: &DecodeOptions,
    (short_side, memory): Wanted<'_>,
) -> Result<Decoded, Error> {
    let header = JpegHeader::read(bytes)?;
    let (width, height) = header.size();
    check_output(&options.limits, (width, height), header.bytes())?;
    let orientation = to_apply(options, header.orientation);
    let derived = derived_bytes((width, height), short_side, orientation);
    let reserve = |bytes| {
        memory
            .map(|memory| reserve_for_decoder(memory, bytes + derived))
            .transpose()
    };
    if let Some(scale) = short_side.and_then(|side| Scale::of((width, height), side)) {
        let memory = reserve(header.scaled_bytes())?;
        if let Some(ScaledImage { image, size }) = scaled::decode(&header, scale)? {
            let image = resize_part(&image, size, canonical_size(width, height, short_side));
            return Ok(Decoded {
                image,
                orientation,
                memory,
            });
        }
    }
    let memory = reserve(header.bytes())?;
    let image = decode_and_resize((width, height), short_side, |pixels, scratch| {
        full::decode(&header, scratch, pixels)
    })?;
    Ok(Decoded {
        image,
        orientation,
        memory,
    })
}

/// Decodes another format with the `image` crate.
fn decode_with_image(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
    (short_side, memory): Wanted<'_>,
) -> Result<Decoded, Error> {
    let limits = &options.limits;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.codec());
    reader.limits(limits.for_codec());
    let mut decoder = reader
        .into_decoder()
        .map_err(|source| Error::Corrupt { format, source })?;
    let size = decoder.dimensions();
    check_output(limits, size, decoder.total_bytes())?;
    let pixels = u64::from(size.0) * u64::from(size.1);
    // Invalid EXIF data is ignored: the pixels may be valid.
    let orientation = to_apply(options, decoder.orientation().ok());
    let bytes = decoder.total_bytes()
        + pixels * extra_bytes_per_pixel(format)
        + derived_bytes(size, short_side, orientation);
    let memory = memory
        .map(|memory| reserve_for_decoder(memory, bytes))
        .transpose()?;
    let image = decode_and_resize(size, short_side, |pixels, _| pixels::rgb(format, decoder, pixels))?;
    Ok(Decoded {
        image,
        orientation,
        memory,
    })
}

/// Decodes at full size with `decode`, then resizes to the canonical size.
fn decode_and_resize<E>(
    (width, height): (u32, u32),
    short_side: Option<u32>,
    decode: impl FnOnce(&mut Vec<u8>, &mut JpegScratch) -> Result<(), E>,
) -> Result<Image, E> {
    let size = canonical_size(width, height, short_side);
    with_scratch(
        |DecodeScratch {
             pixels,
             jpeg,
             resizer,
         }| {
            if size == (width, height) {
                let mut pixels = vec![];
                decode(&mut pixels, jpeg)?;
                return Ok(Image::new(width, height, pixels));
            }
            decode(pixels, jpeg)?;
            let source = ResizeInput {
                pixels,
                size: (width, height),
                part: (width.into(), height.into()),
            };
            Ok(resizer.resize(source, size))
        },
    )
}

fn apply_orientation(image: Image, orientation: ExifOrientation) -> Image {
    if orientation == ExifOrientation::NoTransforms {
        return image;
    }
    let pixels = RgbImage::from_raw(image.width(), image.height(), image.into_pixels());
    let mut image = DynamicImage::ImageRgb8(pixels.expect("three bytes for every pixel"));
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    Image::new(image.width(), image.height(), image.into_raw())
}

#[cfg(test)]
mod tests;

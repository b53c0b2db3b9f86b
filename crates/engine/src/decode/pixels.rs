//! Converts decoder output to 8-bit RGB.

use ::image::{ColorType, ImageDecoder};

use super::Error;
use crate::header::Format;
use crate::image::Image;

/// Decodes to RGB into `pixels`, with capacity for the slack of an [`Image`].
pub(super) fn rgb(format: Format, decoder: impl ImageDecoder, pixels: &mut Vec<u8>) -> Result<(), Error> {
    let colour = decoder.color_type();
    let expand: fn(&[u8]) -> [u8; 3] = match colour {
        ColorType::Rgb8 => return read(format, decoder, pixels),
        ColorType::L8 | ColorType::La8 => |p| [p[0]; 3],
        ColorType::Rgba8 => |p| [p[0], p[1], p[2]],
        ColorType::L16 | ColorType::La16 => |p| [rounded(p, 0); 3],
        ColorType::Rgb16 | ColorType::Rgba16 => |p| [rounded(p, 0), rounded(p, 1), rounded(p, 2)],
        colour => return Err(Error::Colour { format, colour }),
    };
    let (width, height) = decoder.dimensions();
    let mut raw = vec![];
    read(format, decoder, &mut raw)?;
    pixels.clear();
    pixels.reserve_exact(width as usize * height as usize * Image::CHANNELS + Image::SLACK);
    for pixel in raw.chunks_exact(usize::from(colour.bytes_per_pixel())) {
        pixels.extend_from_slice(&expand(pixel));
    }
    Ok(())
}

/// An empty buffer with capacity for `bytes` bytes and the slack.
pub(super) fn room_for(bytes: usize) -> Vec<u8> {
    Vec::with_capacity(bytes + Image::SLACK)
}

fn read(format: Format, decoder: impl ImageDecoder, buffer: &mut Vec<u8>) -> Result<(), Error> {
    let bytes = usize::try_from(decoder.total_bytes()).expect("checked against the limits");
    // Zeroed, so that bytes which a decoder does not write are not those of another image.
    buffer.clear();
    buffer.reserve_exact(bytes + Image::SLACK);
    buffer.resize(bytes, 0);
    decoder
        .read_image(buffer)
        .map_err(|source| Error::Corrupt { format, source })
}

/// The 16-bit channel `channel` of a pixel in native byte order, rounded to 8 bits.
fn rounded(pixel: &[u8], channel: usize) -> u8 {
    let value = u16::from_ne_bytes([pixel[2 * channel], pixel[2 * channel + 1]]);
    u8::try_from((u32::from(value) + 128) / 257).expect("65535 gives 255")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_rounded_to_the_nearest_level() {
        for value in 0..=u16::MAX {
            let expected = (f64::from(value) / 65535.0 * 255.0).round();
            assert_eq!(f64::from(rounded(&value.to_ne_bytes(), 0)), expected, "{value}");
        }
    }
}

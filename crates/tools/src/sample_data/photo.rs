//! Camera effects: uneven light, vignette, exposure, colour cast, blur and noise; JPEG encoding.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageResult};

use super::draw_rng::DrawRng;
use super::paint::{Canvas, unit};

/// Applies camera effects and encodes the canvas as a JPEG of quality 75 to 95.
pub(super) fn encode_photo(mut canvas: Canvas, rng: &mut DrawRng) -> ImageResult<Vec<u8>> {
    if rng.bernoulli(0.35) {
        canvas.blur(1);
    }
    let pixels = expose(&canvas, rng);
    let quality = rng.count(75, 95) as u8;
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
    encoder_write(encoder, &pixels, (canvas.width() as u32, canvas.height() as u32))?;
    Ok(jpeg)
}

fn encoder_write(
    mut encoder: JpegEncoder<&mut Vec<u8>>,
    pixels: &[u8],
    (width, height): (u32, u32),
) -> ImageResult<()> {
    encoder.encode(pixels, width, height, ExtendedColorType::Rgb8)
}

/// Applies light, exposure and noise; returns RGB bytes.
fn expose(canvas: &Canvas, rng: &mut DrawRng) -> Vec<u8> {
    let (width, height) = (canvas.width(), canvas.height());
    let (cos, sin) = unit(rng.unit());
    let slope = rng.between(0.0, 0.35);
    let vignette = if rng.bernoulli(0.5) {
        rng.between(0.05, 0.5)
    } else {
        0.0
    };
    let exposure = rng.between(0.75, 1.2);
    let cast = rng.wobble(0.14);
    let gains = [exposure * (1.0 + cast), exposure, exposure * (1.0 - cast)];
    let contrast = rng.between(0.75, 1.2);
    let saturation = rng.between(0.55, 1.1);
    let grain = rng.between(1.0, 9.0);
    let mut pixels = Vec::with_capacity(canvas.pixels().len() / 4 * 3);
    for (i, pixel) in canvas.pixels().chunks_exact(4).enumerate() {
        let column = (i % width as usize) as f32 / width - 0.5;
        let row = (i / width as usize) as f32 / height - 0.5;
        let light = 1.0 + slope * (column * cos + row * sin) - vignette * 2.0 * (column * column + row * row);
        let grey = f32::from(pixel[0]) * 0.3 + f32::from(pixel[1]) * 0.59 + f32::from(pixel[2]) * 0.11;
        // Noise from one draw of four bytes: one shared by all channels, and one per channel.
        let bits = rng.bits().to_le_bytes().map(|byte| f32::from(byte) / 255.0 - 0.5);
        for c in 0..3 {
            let value = (grey + (f32::from(pixel[c]) - grey) * saturation) * light * gains[c];
            let value = 128.0 + (value - 128.0) * contrast + grain * (2.0 * bits[3] + bits[c]);
            pixels.push(value.clamp(0.0, 255.0) as u8);
        }
    }
    pixels
}

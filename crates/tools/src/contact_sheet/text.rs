//! Text rendering.

use std::sync::OnceLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};
use image::{Rgb, RgbImage};

/// Font size, in pixels, and colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextStyle {
    size: f32,
    color: Rgb<u8>,
}

impl TextStyle {
    pub(super) const fn new(size: f32, color: Rgb<u8>) -> Self {
        Self { size, color }
    }

    /// Line height, in pixels.
    pub(super) fn leading(self) -> u32 {
        (self.size * 1.25).ceil() as u32
    }
}

/// The embedded font; servers usually have none installed.
fn font() -> &'static FontRef<'static> {
    static FONT: OnceLock<FontRef<'static>> = OnceLock::new();
    FONT.get_or_init(|| {
        FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).expect("the embedded font is readable")
    })
}

/// Draws `text` with its top left corner at `(left, top)`, truncated with an ellipsis to `room` pixels.
pub(super) fn write(
    image: &mut RgbImage,
    text: &str,
    (left, top): (u32, u32),
    (style, room): (TextStyle, u32),
) {
    let scaled = font().as_scaled(PxScale::from(style.size));
    let baseline = top as f32 + scaled.ascent();
    let mut x = left as f32;
    for letter in truncated(text, style.size, room as f32).chars() {
        let mut glyph = scaled.scaled_glyph(letter);
        glyph.position = ab_glyph::point(x, baseline);
        x += scaled.h_advance(glyph.id);
        let Some(outline) = font().outline_glyph(glyph) else {
            continue;
        };
        let bounds = outline.px_bounds();
        outline.draw(|column, row, coverage| {
            let (x, y) = (
                bounds.min.x as i64 + i64::from(column),
                bounds.min.y as i64 + i64::from(row),
            );
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
                return;
            };
            if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
                let mix = |below: u8, color: u8| {
                    (f32::from(below) + (f32::from(color) - f32::from(below)) * coverage.clamp(0.0, 1.0))
                        .round() as u8
                };
                pixel.0 = std::array::from_fn(|channel| mix(pixel.0[channel], style.color.0[channel]));
            }
        });
    }
}

/// Truncates `text` with an ellipsis to `room` pixels.
fn truncated(text: &str, size: f32, room: f32) -> String {
    let scaled = font().as_scaled(PxScale::from(size));
    let width = |letter: char| scaled.h_advance(scaled.glyph_id(letter));
    if text.chars().map(width).sum::<f32>() <= room {
        return text.to_owned();
    }
    let room = room - width('…');
    let mut used = 0.0;
    let kept = text.chars().take_while(|&letter| {
        used += width(letter);
        used <= room
    });
    kept.chain(['…']).collect()
}

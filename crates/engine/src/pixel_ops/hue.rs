//! Hue shift.

use super::CHANNELS;

/// Adds `shift` to the hue of every pixel, as a fraction of the colour circle; saturation and value are kept.
///
/// # Source
///
/// The HSV hexcone model in single precision, as torchvision's tensor operation; Pillow's 8-bit conversion loses more.
pub(super) fn shift(pixels: &mut [u8], shift: f32) {
    let (whole, _) = pixels.as_chunks_mut::<CHANNELS>();
    for pixel in whole {
        let [red, green, blue] = pixel.map(f32::from);
        let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
        let spread = most - least;
        if spread == 0.0 {
            continue;
        }
        // In sixths of the circle, from red.
        let hue = if most == red {
            (green - blue) / spread
        } else if most == green {
            2.0 + (blue - red) / spread
        } else {
            4.0 + (red - green) / spread
        };
        let hue = wrapped(hue + shift * 6.0, 6.0);
        // The value of a channel whose maximum is at hue `peak`.
        let channel = |peak: f32| {
            let away = wrapped(hue - peak + 3.0, 6.0) - 3.0;
            let up = (2.0 - away.abs()).clamp(0.0, 1.0);
            rounded(least + spread * up)
        };
        *pixel = [channel(0.0), channel(2.0), channel(4.0)];
    }
}

/// `x` modulo `period`, in `0..period`.
fn wrapped(x: f32, period: f32) -> f32 {
    x - (x / period).floor() * period
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded to nearest and clamped"
)]
fn rounded(value: f32) -> u8 {
    (value + 0.5) as u8
}

//! Operations by a look-up table per channel.
//!
//! # Source
//!
//! Pillow's `ImageOps`: `posterize`, `solarize`, `autocontrast` and `equalize`.

use super::CHANNELS;

type Histogram = [u32; 256];
type Table = [u8; 256];

/// Keeps the `bits` most significant bits; 8 and more are the identity.
pub(super) fn posterize(pixels: &mut [u8], bits: u8) {
    let mask = 0xFF_u8.checked_shl(8 - u32::from(bits.min(8))).unwrap_or(0);
    for value in pixels {
        *value &= mask;
    }
}

/// Inverts values at or above `threshold`.
pub(super) fn solarize(pixels: &mut [u8], threshold: f32) {
    for value in pixels {
        if f32::from(*value) >= threshold {
            *value = 255 - *value;
        }
    }
}

/// Stretches each channel linearly so that its minimum becomes 0 and its maximum 255.
pub(super) fn auto_contrast(pixels: &mut [u8]) {
    look_up(pixels, |histogram| {
        let used = || (0..=255u8).filter(|value| histogram[usize::from(*value)] > 0);
        let (low, high) = (used().next()?, used().next_back()?);
        if high <= low {
            return None;
        }
        let scale = 255.0 / (f64::from(high) - f64::from(low));
        let offset = -f64::from(low) * scale;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast truncates and clamps, as the reference does"
        )]
        let entry = |value: usize| (value as f64 * scale + offset) as u8;
        Some(std::array::from_fn(entry))
    });
}

/// Equalises the histogram of each channel.
pub(super) fn equalize(pixels: &mut [u8]) {
    look_up(pixels, |histogram| {
        let used: Vec<u32> = histogram.iter().copied().filter(|count| *count > 0).collect();
        // The greatest value becomes 255 in any case.
        let (_last, others) = used.split_last()?;
        let step = others.iter().sum::<u32>() / 255;
        if others.is_empty() || step == 0 {
            return None;
        }
        let mut below = step / 2;
        let mut table = [0; 256];
        for (entry, count) in table.iter_mut().zip(histogram) {
            *entry = (below / step).min(255) as u8;
            below += count;
        }
        Some(table)
    });
}

/// Maps each channel by the table that `table` computes from its histogram; `None` leaves the channel as it is.
fn look_up(pixels: &mut [u8], table: impl Fn(&Histogram) -> Option<Table>) {
    let (whole, _) = pixels.as_chunks_mut::<CHANNELS>();
    for channel in 0..CHANNELS {
        let mut histogram = [0; 256];
        for pixel in whole.iter() {
            histogram[usize::from(pixel[channel])] += 1;
        }
        let Some(table) = table(&histogram) else { continue };
        for pixel in whole.iter_mut() {
            pixel[channel] = table[usize::from(pixel[channel])];
        }
    }
}

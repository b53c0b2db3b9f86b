//! Gaussian blur.

use super::CHANNELS;

/// Fractional bits of a weight.
const BITS: u32 = 16;

/// Blurs with a Gaussian of standard deviation `sigma` pixels, truncated at three standard deviations: along rows, then along columns.
/// Pixels beyond the border are reflected.
///
/// # Numbers
///
/// 16-bit weights with a sum of exactly 65536, 8 fractional bits between the two passes, and one rounding to nearest at the end: a uniform
/// region stays uniform.
pub(super) fn blur(pixels: &mut [u8], size: usize, sigma: f32) {
    let weights = weights(f64::from(sigma));
    let mut rows = vec![0u16; pixels.len()];
    let index = |row: usize, column: usize, channel: usize| (row * size + column) * CHANNELS + channel;
    for_each_byte(size, |row, column, channel| {
        let value = |column| u32::from(pixels[index(row, column, channel)]);
        let sum = weighted(&weights, column, size, value);
        rows[index(row, column, channel)] = ((sum + (1 << 7)) >> 8) as u16;
    });
    for_each_byte(size, |row, column, channel| {
        let value = |row| u32::from(rows[index(row, column, channel)]);
        let sum = weighted(&weights, row, size, value);
        pixels[index(row, column, channel)] = ((sum + (1 << 23)) >> 24) as u8;
    });
}

/// Calls `compute` with row, column and channel of each byte.
fn for_each_byte(size: usize, mut compute: impl FnMut(usize, usize, usize)) {
    for row in 0..size {
        for column in 0..size {
            (0..CHANNELS).for_each(|channel| compute(row, column, channel));
        }
    }
}

/// The weight of the centre, then of the pixels at distance 1, 2, ... on either side.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "weights are positive and at most 65536; a radius is small"
)]
fn weights(sigma: f64) -> Vec<u32> {
    let radius = (3.0 * sigma).ceil().clamp(0.0, 64.0) as u32;
    let bell = |distance: u32| libm::exp(-f64::from(distance * distance) / (2.0 * sigma * sigma));
    let sum = 1.0 + 2.0 * (1..=radius).map(bell).sum::<f64>();
    let one = f64::from(1u32 << BITS);
    let sides: Vec<u32> = (1..=radius)
        .map(|distance| (bell(distance) / sum * one).round() as u32)
        .collect();
    let centre = (1 << BITS) - 2 * sides.iter().sum::<u32>();
    [vec![centre], sides].concat()
}

/// The weighted sum of the values around `at`.
fn weighted(weights: &[u32], at: usize, length: usize, value: impl Fn(usize) -> u32) -> u32 {
    let mut sum = weights[0] * value(at);
    for (distance, weight) in weights.iter().enumerate().skip(1) {
        let left = reflect(at as isize - distance as isize, length);
        let right = reflect(at as isize + distance as isize, length);
        sum += weight * (value(left) + value(right));
    }
    sum
}

/// Reflects `at` about the centres of the first and last pixel into `0..length`.
fn reflect(at: isize, length: usize) -> usize {
    let span = length as isize - 1;
    if span == 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * span);
    at.min(2 * span - at) as usize
}

//! Perceptual hash and thumbnail of an image.

use equibatch_engine::{decode::resized, image::Image};
use std::f64::consts::PI;

/// Side lengths of the greyscale image that is hashed, of the block of DCT coefficients that is kept, and of the thumbnail.
const SIDE: usize = 32;
const FREQUENCIES: usize = 8;
const THUMBNAIL: usize = 16;

/// Least correlation between thumbnails of similar images.
const ALIKE: f64 = 0.95;

/// A DCT-based perceptual hash (pHash) to find candidates, and a thumbnail to confirm them.
///
/// The greyscale image is resized to 32x32; bit `8·v + u` of the hash says whether DCT coefficient (u, v) of the lowest 8x8 is above their
/// median. Size, quality, brightness and contrast change few bits. Among many images 64 bits collide by chance, above all for plain
/// backgrounds; comparing the thumbnails removes these collisions.
///
/// # Source
///
/// Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1.
#[derive(Clone, Debug)]
pub(super) struct PerceptualHash {
    pub(super) hash: u64,
    thumbnail: [u8; THUMBNAIL * THUMBNAIL],
}

impl PerceptualHash {
    pub(super) fn of(image: &Image) -> Self {
        let grey = grey(&resized(image, (SIDE as u32, SIDE as u32)));
        let mut thumbnail = [0; THUMBNAIL * THUMBNAIL];
        for (at, mean) in thumbnail.iter_mut().enumerate() {
            let (x, y) = (at % THUMBNAIL * 2, at / THUMBNAIL * 2);
            let four = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| grey[y * SIDE + x]);
            *mean = (four.iter().sum::<f64>() / 4.0).round() as u8;
        }
        Self {
            hash: hash(&grey),
            thumbnail,
        }
    }

    /// Whether the thumbnails correlate, regardless of brightness and contrast.
    pub(super) fn is_similar_to(&self, other: &Self) -> bool {
        correlation(&self.thumbnail, &other.thumbnail) >= ALIKE
    }
}

/// Luma (BT.601).
fn grey(image: &Image) -> Vec<f64> {
    let luma = |rgb: &[u8]| 0.299 * f64::from(rgb[0]) + 0.587 * f64::from(rgb[1]) + 0.114 * f64::from(rgb[2]);
    image.pixels().chunks_exact(Image::CHANNELS).map(luma).collect()
}

fn hash(grey: &[f64]) -> u64 {
    // Separable DCT-II: the lowest frequencies along rows, then along columns.
    let wave =
        |frequency: usize, at: usize| libm::cos(PI * frequency as f64 * (at as f64 + 0.5) / SIDE as f64);
    let mut rows = [[0.0; FREQUENCIES]; SIDE];
    for (row, output) in grey.chunks_exact(SIDE).zip(&mut rows) {
        for (frequency, output) in output.iter_mut().enumerate() {
            *output = row
                .iter()
                .enumerate()
                .map(|(x, value)| value * wave(frequency, x))
                .sum();
        }
    }
    let coefficient = |at: usize| -> f64 {
        let (across, down) = (at % FREQUENCIES, at / FREQUENCIES);
        rows.iter()
            .enumerate()
            .map(|(y, row)| row[across] * wave(down, y))
            .sum()
    };
    let coefficients: Vec<f64> = (0..64).map(coefficient).collect();
    // Without the DC coefficient.
    let mut sorted = coefficients[1..].to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let bit = |(at, value): (usize, &f64)| u64::from(at > 0 && *value > median) << at;
    coefficients.iter().enumerate().map(bit).sum()
}

/// Pearson correlation, from -1 to 1; 0 if either input is constant.
fn correlation(a: &[u8], b: &[u8]) -> f64 {
    let mean =
        |values: &[u8]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut only_a, mut only_b) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a) - mean_a, f64::from(b) - mean_b);
        both += a * b;
        only_a += a * a;
        only_b += b * b;
    }
    if only_a == 0.0 || only_b == 0.0 {
        return 0.0;
    }
    both / (only_a * only_b).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_is_pearsons() {
        assert!((correlation(&[0, 10, 20], &[100, 110, 120]) - 1.0).abs() < 1e-12);
        assert!((correlation(&[0, 10, 20], &[40, 20, 0]) + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&[7, 7, 7], &[1, 2, 3]), 0.0);
    }

    #[test]
    fn each_bit_is_a_dct_coefficient() {
        let grey = |wave: fn(f64, f64) -> f64| -> Vec<f64> {
            (0..SIDE * SIDE)
                .map(|at| 128.0 + 100.0 * wave((at % SIDE) as f64 + 0.5, (at / SIDE) as f64 + 0.5))
                .collect()
        };
        let across = hash(&grey(|x, _| (PI * 3.0 * x / 32.0).cos()));
        let down = hash(&grey(|_, y| (PI * 2.0 * y / 32.0).cos()));
        assert_eq!(across & 1 << 3, 1 << 3);
        assert_eq!(down & 1 << 16, 1 << 16);
        assert_eq!((across | down) & 1, 0);
    }
}

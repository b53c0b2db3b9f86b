//! A validation image from pixels to tensor, in double precision, written for clarity only.

use image::{Rgb, RgbImage};

/// Reduces `image` to a short side of `short` pixels if it is larger: separable convolution with a triangle as wide as the
/// reduction, rounded to bytes once, at the end.
///
/// # Source
///
/// The antialiased bilinear resize of Pillow (`Resample.c`) and of torchvision.
#[must_use]
pub fn canonical(image: &RgbImage, short: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let least = width.min(height);
    if least <= short {
        return image.clone();
    }
    let side = |length: u32| (f64::from(length) * f64::from(short) / f64::from(least)).round() as u32;
    let (columns, rows) = (triangle(width, side(width)), triangle(height, side(height)));
    RgbImage::from_fn(columns.len() as u32, rows.len() as u32, |column, row| {
        let mut sums = [0.0; 3];
        for &(y, in_column) in &rows[row as usize] {
            for &(x, in_row) in &columns[column as usize] {
                let pixel = image.get_pixel(x, y);
                for (sum, value) in sums.iter_mut().zip(pixel.0) {
                    *sum += f64::from(value) * in_column * in_row;
                }
            }
        }
        Rgb(sums.map(|sum| sum.round() as u8))
    })
}

/// For each output element, its input elements with weights that add up to 1.
fn triangle(input: u32, output: u32) -> Vec<Vec<(u32, f64)>> {
    let scale = f64::from(input) / f64::from(output);
    let reach = scale.max(1.0);
    let of = |index: u32| {
        let centre = (f64::from(index) + 0.5) * scale;
        let weight = |at: u32| (1.0 - ((f64::from(at) + 0.5 - centre) / reach).abs()).max(0.0);
        let weights: Vec<(u32, f64)> = (0..input)
            .map(|at| (at, weight(at)))
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        weights
            .into_iter()
            .map(|(at, weight)| (at, weight / sum))
            .collect()
    };
    (0..output).map(of).collect()
}

/// A validation image before normalisation: `[3, size, size]`, in `[0, 1]`.
///
/// The image is laid on a canvas whose short side is `size`; corner pixel centres lie on corner pixel centres; the middle of the canvas is
/// taken, each pixel a bilinear sample.
///
/// # Source
///
/// fastai 1, `Image.apply_tfms` with `crop_pad` at its default place, and PyTorch's `grid_sample` with `align_corners=True`.
#[must_use]
pub fn centre_crop(image: &RgbImage, size: u32) -> Vec<f64> {
    let (width, height) = image.dimensions();
    let ratio = f64::from(width.min(height)) / f64::from(size);
    let canvas = |length: u32| (f64::from(length) / ratio).round_ties_even();
    // The start of the crop on the canvas, and the step on the source from one canvas pixel to the next.
    let axis = |length: u32| {
        let canvas = canvas(length);
        let start = ((canvas - f64::from(size) + 1.0) / 2.0).floor();
        (start, f64::from(length - 1) / (canvas - 1.0))
    };
    let ((left, across), (top, down)) = (axis(width), axis(height));
    let value = |channel: usize, x: u32, y: u32| {
        f64::from(image.get_pixel(x.min(width - 1), y.min(height - 1)).0[channel]) / 255.0
    };
    let mut values = vec![];
    for channel in 0..3 {
        for row in 0..size {
            for column in 0..size {
                let (x, y) = ((f64::from(column) + left) * across, (f64::from(row) + top) * down);
                let (x0, y0) = (x.floor(), y.floor());
                let (fx, fy) = (x - x0, y - y0);
                let (x0, y0) = (x0 as u32, y0 as u32);
                let upper = value(channel, x0, y0) * (1.0 - fx) + value(channel, x0 + 1, y0) * fx;
                let lower = value(channel, x0, y0 + 1) * (1.0 - fx) + value(channel, x0 + 1, y0 + 1) * fx;
                values.push(upper * (1.0 - fy) + lower * fy);
            }
        }
    }
    values
}

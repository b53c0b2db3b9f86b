//! Grad-CAM overlays.

use image::{Rgb, RgbImage};

use equibatch_training::runtime::Heatmap;

/// Opacity of the map over the image.
const OPACITY: f32 = 0.6;

/// Equidistant stops of the colour map magma, from 0 to 1.
///
/// # Source
///
/// Nine entries at equal distances, from the first to the last of the 256, of the table of Nathaniel Smith and Stéfan van der Walt,
/// <https://bids.github.io/colormap>, CC0.
const MAGMA: [[u8; 3]; 9] = [
    [0, 0, 4],
    [29, 17, 71],
    [81, 18, 124],
    [130, 38, 129],
    [182, 54, 121],
    [230, 81, 100],
    [251, 136, 97],
    [254, 194, 135],
    [252, 253, 191],
];

/// The Grad-CAM map, scaled to its maximum and interpolated bilinearly, in colours over the image.
///
/// # Source
///
/// `ClassificationInterpretation.plot_top_losses` of fastai 1.0: opacity, colours, and a map that covers the whole image.
#[must_use]
pub fn overlay(image: &RgbImage, map: &Heatmap) -> RgbImage {
    let largest = map.values.iter().copied().fold(0.0_f32, f32::max);
    let (width, height) = image.dimensions();
    RgbImage::from_fn(width, height, |x, y| {
        let value = sampled(
            map,
            place(x, width, map.extent[1]),
            place(y, height, map.extent[0]),
        );
        let share = if largest > 0.0 { value / largest } else { 0.0 };
        let (below, colour) = (image.get_pixel(x, y).0, magma(share));
        Rgb(std::array::from_fn(|channel| {
            let mixed = f32::from(below[channel]) * (1.0 - OPACITY) + colour[channel] * OPACITY;
            mixed.round().clamp(0.0, 255.0) as u8
        }))
    })
}

/// Coordinate of a pixel's centre in the map's grid of cell centres.
fn place(pixel: u32, pixels: u32, places: usize) -> f32 {
    let place = (pixel as f32 + 0.5) * places as f32 / pixels.max(1) as f32 - 0.5;
    place.clamp(0.0, places.saturating_sub(1) as f32)
}

/// Bilinear interpolation at `(x, y)`.
fn sampled(map: &Heatmap, x: f32, y: f32) -> f32 {
    let [rows, columns] = map.extent;
    let at = |row: usize, column: usize| {
        map.values
            .get(row.min(rows.saturating_sub(1)) * columns + column.min(columns.saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    let (left, top) = (x as usize, y as usize);
    let (fx, fy) = (x - left as f32, y - top as f32);
    let row = |row: usize| at(row, left) * (1.0 - fx) + at(row, left + 1) * fx;
    row(top) * (1.0 - fy) + row(top + 1) * fy
}

fn magma(share: f32) -> [f32; 3] {
    let at = share.clamp(0.0, 1.0) * (MAGMA.len() - 1) as f32;
    let index = (at as usize).min(MAGMA.len() - 2);
    let part = at - index as f32;
    std::array::from_fn(|channel| {
        f32::from(MAGMA[index][channel]) * (1.0 - part) + f32::from(MAGMA[index + 1][channel]) * part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlay_is_brightest_where_the_map_is_largest() {
        let image = RgbImage::from_pixel(70, 70, Rgb([100, 100, 100]));
        let mut values = vec![0.1; 49];
        values[2 * 7 + 5] = 3.0;
        let drawn = overlay(
            &image,
            &Heatmap {
                extent: [7, 7],
                values,
            },
        );
        let brightness = |pixel: &Rgb<u8>| pixel.0.iter().map(|&value| u32::from(value)).sum::<u32>();
        let (x, y, _) = drawn
            .enumerate_pixels()
            .max_by_key(|(_, _, pixel)| brightness(pixel))
            .expect("pixels");
        assert!((50..60).contains(&x) && (20..30).contains(&y), "({x}, {y})");
    }

    #[test]
    fn a_zero_map_darkens_evenly() {
        let image = RgbImage::from_pixel(4, 3, Rgb([200, 100, 0]));
        for values in [vec![0.0; 4], vec![]] {
            let drawn = overlay(
                &image,
                &Heatmap {
                    extent: [2, 2],
                    values,
                },
            );
            assert!(drawn.pixels().all(|pixel| pixel.0 == [80, 40, 2]), "{drawn:?}");
        }
    }

    #[test]
    fn a_map_of_one_cell_covers_the_image() {
        let image = RgbImage::from_pixel(3, 3, Rgb([0, 0, 0]));
        let drawn = overlay(
            &image,
            &Heatmap {
                extent: [1, 1],
                values: vec![2.0],
            },
        );
        assert!(
            drawn.pixels().all(|pixel| pixel.0 == [151, 152, 115]),
            "{drawn:?}"
        );
    }
}

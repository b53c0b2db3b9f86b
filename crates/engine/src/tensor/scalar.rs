//! The reference kernel: one pixel at a time, in portable Rust.

use super::grid::{FRACTION_BITS, ONE, reflect};
use super::job::RenderJob;

/// Computes rows of the result from `first_row` on, as many as the planes hold.
pub(super) fn rows(job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3]) {
    let [red, green, blue] = planes.map(|plane| plane.chunks_exact_mut(job.size));
    for (row, ((red, green), blue)) in (first_row..).zip(red.zip(green).zip(blue)) {
        self::row(job, row, [red, green, blue]);
    }
}

/// Computes row `row` of the result: one value per column in each plane.
pub(super) fn row(job: &RenderJob<'_>, row: u32, planes: [&mut [f32]; 3]) {
    let start = job.grid.row(row);
    let [red, green, blue] = planes;
    for (column, ((red, green), blue)) in red.iter_mut().zip(green).zip(blue).enumerate() {
        let sums = blend(job, job.grid.position(start, column as f32));
        for (channel, (element, sum)) in [red, green, blue].into_iter().zip(sums).enumerate() {
            *element = job.curve.value(channel, sum);
        }
    }
}

/// Bilinear interpolation at a position: per channel, the weighted sum of four pixels, 0..=255 times 16384.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "reflected positions are not negative and, in pixels, below the image's sides"
)]
fn blend(job: &RenderJob<'_>, (x, y): (i64, i64)) -> [i32; 3] {
    let (width, height) = (job.image.width(), job.image.height());
    let (x, y) = (reflect(x, width), reflect(y, height));
    // A position on the last row is interpolated from the row above it with a fraction of 1, so that a lower neighbour exists. This is not
    // needed for the last column: the bytes to its right have weight 0 and are readable (`Image::SLACK`).
    let (column, row) = (
        x >> FRACTION_BITS,
        (y >> FRACTION_BITS).min(i64::from(height.saturating_sub(2))),
    );
    let fx = (x - (column << FRACTION_BITS)) as i32;
    let fy = (y - (row << FRACTION_BITS)) as i32;

    let bottom_right = (fx * fy + ONE / 2) >> FRACTION_BITS;
    let (top_right, bottom_left) = (fx - bottom_right, fy - bottom_right);
    let top_left = ONE - fy - top_right;

    let offset = row as usize * job.stride + column as usize * 3;
    let top = &job.bytes[offset..offset + 6];
    let offset = if height > 1 { offset + job.stride } else { offset };
    let bottom = &job.bytes[offset..offset + 6];
    std::array::from_fn(|channel| {
        i32::from(top[channel]) * top_left
            + i32::from(top[channel + 3]) * top_right
            + i32::from(bottom[channel]) * bottom_left
            + i32::from(bottom[channel + 3]) * bottom_right
    })
}

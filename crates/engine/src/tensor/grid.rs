//! Where the pixels of a row lie in the source, in fixed point.

use std::ops::Range;

use crate::geometry::Projective;

/// Bits of a coordinate behind the point: as many as leave a blending weight of 1 within a signed 16-bit number.
pub(super) const FRACTION_BITS: u32 = 14;
/// One pixel.
pub(super) const ONE: i32 = 1 << FRACTION_BITS;

/// A projective map prepared for row after row of evaluation in single precision.
///
/// Coordinates are relative to `origin`, a source pixel in the middle of what is seen, so that their rounding errors follow from the
/// size of the result, not from the size of the source.
#[derive(Clone, Debug)]
pub(super) struct SampleGrid {
    /// Output pixels to source positions relative to `origin`, in 1/[`ONE`] pixels; the third coordinate is 1 at the centre.
    map: Projective,
    /// Column and row of a source pixel.
    pub(super) origin: [i32; 2],
    /// What one column adds to each homogeneous coordinate.
    pub(super) step: [f32; 3],
    /// Whether the third coordinate varies.
    pub(super) is_projective: bool,
}

/// The homogeneous coordinates of a row's first pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RowStart {
    pub(super) u: f32,
    pub(super) v: f32,
    pub(super) w: f32,
}

impl SampleGrid {
    /// The grid of a square result of `size` pixels.
    pub(super) fn new(map: &Projective, size: u32) -> Self {
        let middle = f64::from(size - 1) / 2.0;
        let [u, v, w] = map.apply_homogeneous(middle, middle);
        let scale = if w != 0.0 && w.is_finite() { 1.0 / w } else { 1.0 };
        let origin = [u * scale, v * scale].map(nearest_pixel);
        let one = f64::from(ONE);
        let rows = map.0.map(|row| row.map(|entry| entry * scale));
        let relative = |axis: usize| {
            std::array::from_fn(|column| {
                (rows[axis][column] - f64::from(origin[axis]) * rows[2][column]) * one
            })
        };
        let map = Projective([relative(0), relative(1), rows[2]]);
        Self {
            map,
            origin,
            step: map.0.map(|row| to_f32(row[0])),
            is_projective: !map.is_affine(),
        }
    }

    /// The start of row `row`.
    pub(super) fn row(&self, row: u32) -> RowStart {
        let [u, v, w] = self.map.apply_homogeneous(0.0, f64::from(row)).map(to_f32);
        RowStart { u, v, w }
    }

    /// Whether one reflection brings each position of a row of `size` pixels into an image of `(width, height)` pixels, with at least a
    /// pixel to spare. Asks the row's ends alone: a projective map takes what lies between to what lies between.
    pub(super) fn one_reflection_suffices(&self, row: u32, size: usize, image: (u32, u32)) -> bool {
        let last = [image.0, image.1].map(|length| f64::from(length - 1));
        [0.0, (size - 1) as f64].into_iter().all(|column| {
            let [u, v, w] = self.map.apply_homogeneous(column, f64::from(row));
            // The third coordinate is 1 at the centre of the result; near 0 single precision would lose the others.
            w >= 1.0 / 16.0
                && [u, v]
                    .into_iter()
                    .zip(self.origin)
                    .zip(last)
                    .all(|((coordinate, origin), last)| {
                        let position = coordinate / w / f64::from(ONE) + f64::from(origin);
                        position >= 1.0 - last && position <= 2.0 * last - 1.0
                    })
        })
    }

    /// Columns of a row of `size` pixels that lie within an image of `(width, height)` pixels, a pixel away from its borders, where
    /// [`SampleGrid::one_reflection_suffices`] holds for the row.
    pub(super) fn interior(&self, row: u32, size: usize, image: (u32, u32)) -> Range<usize> {
        let [u, v, w] = self.map.apply_homogeneous(0.0, f64::from(row));
        let [du, dv, dw] = self.map.0.map(|row| row[0]);
        let one = f64::from(ONE);
        let (mut start, mut end) = (0.0f64, size as f64);
        for (axis, length) in [image.0, image.1].into_iter().enumerate() {
            let (at, step) = ([u, v][axis] / one, [du, dv][axis] / one);
            let origin = f64::from(self.origin[axis]);
            let (first, last) = (1.0 - origin, f64::from(length) - 2.0 - origin);
            // Of the third coordinate, which is positive, each end is a multiple: what is left is linear along the row.
            for (value, slope) in [
                (at - first * w, step - first * dw),
                (last * w - at, last * dw - step),
            ] {
                let root = -value / slope;
                if slope > 0.0 {
                    start = start.max(root.ceil());
                } else if slope < 0.0 {
                    end = end.min(root.floor() + 1.0);
                } else if value < 0.0 {
                    end = 0.0;
                }
            }
        }
        // Saturating: what is no number becomes 0.
        start as usize..end as usize
    }

    /// The source position of the pixel in column `column`, in 1/[`ONE`] pixels from the centre of the source's first pixel.
    pub(super) fn position(&self, start: RowStart, column: f32) -> (i64, i64) {
        let mut x = self.step[0] * column + start.u;
        let mut y = self.step[1] * column + start.v;
        if self.is_projective {
            let reciprocal = 1.0 / (self.step[2] * column + start.w);
            x *= reciprocal;
            y *= reciprocal;
        }
        (fixed(x, self.origin[0]), fixed(y, self.origin[1]))
    }
}

/// Reflects `position` about the centres of the first and last of `length` pixels until it lies between them.
pub(super) fn reflect(position: i64, length: u32) -> i64 {
    let span = i64::from(length - 1) << FRACTION_BITS;
    if (0..=span).contains(&position) {
        return position;
    }
    if span == 0 {
        return 0;
    }
    let remainder = position.rem_euclid(2 * span);
    remainder.min(2 * span - remainder)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the one rounding to single precision that the numbers are specified with"
)]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "clamped; what is not a number becomes 0"
)]
fn nearest_pixel(position: f64) -> i32 {
    position.round().clamp(-65536.0, 65536.0) as i32
}

/// Truncates, after a clamp far outside any image that keeps the sum within range; what is not a number becomes 0.
#[allow(clippy::cast_possible_truncation, reason = "truncation is the specification")]
fn fixed(offset: f32, origin: i32) -> i64 {
    const LIMIT: f32 = (1u64 << 50) as f32;
    offset.clamp(-LIMIT, LIMIT) as i64 + (i64::from(origin) << FRACTION_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_walks_back_and_forth() {
        let one = i64::from(ONE);
        let walk: Vec<i64> = (-5..9).map(|position| reflect(position * one, 4) / one).collect();
        assert_eq!(walk, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(reflect(-3, 4), 3);
        assert_eq!(reflect(3 * one + 5, 4), 3 * one - 5);
        assert_eq!(reflect(-12345, 1), 0);
    }

    #[test]
    fn positions_are_exact_for_whole_pixels() {
        let map = Projective::scale_then_offset([1.0, 1.0], [9000.0, 4.0]);
        let grid = SampleGrid::new(&map, 224);
        for pixel in [0u8, 1, 111, 223] {
            let (x, y) = grid.position(grid.row(u32::from(pixel)), f32::from(pixel));
            assert_eq!(
                (x, y),
                ((9000 + i64::from(pixel)) << 14, (4 + i64::from(pixel)) << 14)
            );
        }
    }

    #[test]
    fn what_lies_inside_is_found_along_each_row() {
        let maps = [
            Projective([[0.8, 0.3, -20.0], [-0.3, 0.8, 40.0], [0.0, 0.0, 1.0]]),
            Projective([[0.8, 0.3, -20.0], [-0.2, 0.9, 10.0], [0.0008, -0.0003, 1.0]]),
            Projective([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
            Projective([[-1.2, 0.0, 120.0], [0.0, 0.5, 90.0], [0.0, 0.0, 1.0]]),
        ];
        let (size, image) = (100, (110, 90));
        let mut found = 0;
        for map in maps {
            let grid = SampleGrid::new(&map, size);
            for row in 0..size {
                let interior = grid.interior(row, size as usize, image);
                for column in 0..size {
                    let (x, y) = map.apply(f64::from(column), f64::from(row));
                    let is_inside = (1.0..=108.0).contains(&x) && (1.0..=88.0).contains(&y);
                    let said = interior.contains(&(column as usize));
                    // Rounding may leave out a pixel that lies on the line.
                    let is_on_line = [x - 1.0, x - 108.0, y - 1.0, y - 88.0]
                        .iter()
                        .any(|d| d.abs() < 1e-9);
                    assert!(said == is_inside || is_on_line, "{map:?} {row} {column}: {x} {y}");
                    found += usize::from(said);
                }
            }
        }
        assert!(found > 10_000, "{found}");
    }

    #[test]
    fn maps_without_a_meaning_have_positions_all_the_same() {
        for entry in [f64::NAN, f64::INFINITY, 0.0, 1e300] {
            let grid = SampleGrid::new(&Projective([[entry; 3]; 3]), 8);
            let (x, y) = grid.position(grid.row(7), 7.0);
            assert!((0..=i64::from(ONE) * 9).contains(&reflect(x, 10)), "{entry}: {x}");
            assert!((0..=i64::from(ONE) * 9).contains(&reflect(y, 10)), "{entry}: {y}");
        }
    }
}

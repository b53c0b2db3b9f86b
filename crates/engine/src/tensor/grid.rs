//! Source positions of the pixels of a row, in fixed point.

use std::ops::Range;

use crate::geometry::Projective;

/// Fractional bits of a coordinate: the most for which an interpolation weight of 1 fits a signed 16-bit integer.
pub(super) const FRACTION_BITS: u32 = 14;
/// One pixel.
pub(super) const ONE: i32 = 1 << FRACTION_BITS;

/// A projective map prepared for row-wise evaluation in single precision.
///
/// Coordinates are relative to `origin`, the source pixel at the centre of the result, so that rounding errors depend on the size of the
/// result and not on the size of the source.
#[derive(Clone, Debug)]
pub(super) struct SampleGrid {
    /// Maps output pixels to source positions relative to `origin`, in 1/[`ONE`] pixels; the third coordinate is 1 at the centre.
    map: Projective,
    /// Column and row of a source pixel.
    pub(super) origin: [i32; 2],
    /// Increment of each homogeneous coordinate per column.
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

    /// Whether at most one reflection brings each position of a row of `size` pixels into an image of `(width, height)` pixels, with a
    /// margin of a pixel. Only the ends of the row are tested: a projective map preserves betweenness.
    pub(super) fn one_reflection_suffices(&self, row: u32, size: usize, image: (u32, u32)) -> bool {
        let last = [image.0, image.1].map(|length| f64::from(length - 1));
        [0.0, (size - 1) as f64].into_iter().all(|column| {
            let [u, v, w] = self.map.apply_homogeneous(column, f64::from(row));
            // The third coordinate is 1 at the centre of the result; near 0, the quotients lose precision.
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

    /// The columns of a row of `size` pixels whose positions lie within an image of `(width, height)` pixels, at least a pixel away from
    /// its borders. [`SampleGrid::one_reflection_suffices`] must hold for the row.
    pub(super) fn interior(&self, row: u32, size: usize, image: (u32, u32)) -> Range<usize> {
        let [u, v, w] = self.map.apply_homogeneous(0.0, f64::from(row));
        let [du, dv, dw] = self.map.0.map(|row| row[0]);
        let one = f64::from(ONE);
        let (mut start, mut end) = (0.0f64, size as f64);
        for (axis, length) in [image.0, image.1].into_iter().enumerate() {
            let (at, step) = ([u, v][axis] / one, [du, dv][axis] / one);
            let origin = f64::from(self.origin[axis]);
            let (first, last) = (1.0 - origin, f64::from(length) - 2.0 - origin);
            // Multiplied by the third coordinate, which is positive, the inequalities are linear along the row.
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
        // The cast saturates; NaN becomes 0.
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

/// Reflects `position` about the centres of the first and last of `length` pixels into the range between them.
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
    reason = "the specified rounding to single precision"
)]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[allow(clippy::cast_possible_truncation, reason = "clamped; NaN becomes 0")]
fn nearest_pixel(position: f64) -> i32 {
    position.round().clamp(-65536.0, 65536.0) as i32
}

/// Truncates, after clamping to a range beyond any image so that the sum does not overflow; NaN becomes 0.
#[allow(clippy::cast_possible_truncation, reason = "truncation is the specification")]
fn fixed(offset: f32, origin: i32) -> i64 {
    const LIMIT: f32 = (1u64 << 50) as f32;
    offset.clamp(-LIMIT, LIMIT) as i64 + (i64::from(origin) << FRACTION_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_is_periodic() {
        let one = i64::from(ONE);
        let walk: Vec<i64> = (-5..9).map(|position| reflect(position * one, 4) / one).collect();
        assert_eq!(walk, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(reflect(-3, 4), 3);
        assert_eq!(reflect(3 * one + 5, 4), 3 * one - 5);
        assert_eq!(reflect(-12345, 1), 0);
    }

    #[test]
    fn positions_are_exact_for_integer_coordinates() {
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
    fn the_interior_of_each_row_is_found() {
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
                    let is_reported = interior.contains(&(column as usize));
                    // Rounding may exclude a pixel on the boundary.
                    let is_on_line = [x - 1.0, x - 108.0, y - 1.0, y - 88.0]
                        .iter()
                        .any(|d| d.abs() < 1e-9);
                    assert!(
                        is_reported == is_inside || is_on_line,
                        "{map:?} {row} {column}: {x} {y}"
                    );
                    found += usize::from(is_reported);
                }
            }
        }
        assert!(found > 10_000, "{found}");
    }

    #[test]
    fn singular_and_infinite_maps_have_finite_positions() {
        for entry in [f64::NAN, f64::INFINITY, 0.0, 1e300] {
            let grid = SampleGrid::new(&Projective([[entry; 3]; 3]), 8);
            let (x, y) = grid.position(grid.row(7), 7.0);
            assert!((0..=i64::from(ONE) * 9).contains(&reflect(x, 10)), "{entry}: {x}");
            assert!((0..=i64::from(ONE) * 9).contains(&reflect(y, 10)), "{entry}: {y}");
        }
    }
}

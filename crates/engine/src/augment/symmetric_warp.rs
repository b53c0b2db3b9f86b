//! Perspective warp: each edge of the canvas grows or shrinks about its centre.

use rand::Rng;

use crate::geometry::Projective;
use crate::random::uniform;

/// A perspective warp. Each magnitude is the distance by which both ends of one edge move outwards (positive) or inwards (negative), in
/// units where the canvas is `[-1, 1]` on both axes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SymmetricWarp {
    /// Right edge (up and down), left edge, bottom edge (left and right), top edge.
    pub magnitudes: [f64; 4],
}

impl SymmetricWarp {
    pub(super) fn draw(generator: &mut impl Rng, max_magnitude: f64) -> Self {
        Self {
            magnitudes: std::array::from_fn(|_| uniform(generator, -max_magnitude, max_magnitude)),
        }
    }

    /// The map from output to source: the homography that takes the moved corners to the corners of the canvas, normalised to a last entry
    /// of 1.
    ///
    /// Entries are not finite if no such homography exists, which is possible only for magnitudes of 0.5 and more.
    ///
    /// # Source
    ///
    /// Corner positions: fastai `_symmetric_warp`. The map from the unit square to a quadrilateral in closed form: P. Heckbert,
    /// Fundamentals of Texture Mapping and Image Warping, 1989, section 2.2.3; its inverse by cofactors.
    #[must_use]
    pub fn matrix(&self) -> Projective {
        let [right, left, bottom, top] = self.magnitudes;
        let quadrilateral = from_unit_square(
            [-1.0 - top, -1.0 - left],
            [1.0 + top, -1.0 - right],
            [1.0 + bottom, 1.0 + right],
            [-1.0 - bottom, 1.0 + left],
        );
        let to_canvas = Projective::scale_then_offset([2.0, 2.0], [-1.0, -1.0]);
        match quadrilateral.inverse() {
            Some(inverse) => to_canvas.compose(&inverse).normalized(),
            None => Projective([[f64::NAN; 3]; 3]),
        }
    }
}

/// The homography that maps `(0,0) (1,0) (1,1) (0,1)` to the four points in this order.
fn from_unit_square(p0: [f64; 2], p1: [f64; 2], p2: [f64; 2], p3: [f64; 2]) -> Projective {
    let [x0, y0] = p0;
    let (dx1, dy1) = (p1[0] - p2[0], p1[1] - p2[1]);
    let (dx2, dy2) = (p3[0] - p2[0], p3[1] - p2[1]);
    let (sx, sy) = (x0 - p1[0] + p2[0] - p3[0], y0 - p1[1] + p2[1] - p3[1]);
    let determinant = dx1 * dy2 - dx2 * dy1;
    let g = (sx * dy2 - dx2 * sy) / determinant;
    let h = (dx1 * sy - sx * dy1) / determinant;
    Projective([
        [p1[0] - x0 + g * p1[0], p3[0] - x0 + h * p3[0], x0],
        [p1[1] - y0 + g * p1[1], p3[1] - y0 + h * p3[1], y0],
        [g, h, 1.0],
    ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn homographies_match_the_reference() {
        let b = 1.0 / 11.0;
        let c = 10.0 / 11.0;
        for (magnitudes, expected, tolerance) in [
            ([0.2, 0.0, 0.0, 0.0], [1.0, 0.0, b, 0.0, c, 0.0, b, 0.0], 1e-12),
            ([0.0, 0.2, 0.0, 0.0], [1.0, 0.0, -b, 0.0, c, 0.0, -b, 0.0], 1e-12),
            ([0.0, 0.0, 0.2, 0.0], [c, 0.0, 0.0, 0.0, 1.0, b, 0.0, b], 1e-12),
            ([0.0, 0.0, 0.0, 0.2], [c, 0.0, 0.0, 0.0, 1.0, -b, 0.0, -b], 1e-12),
            (
                [-0.2, -0.2, -0.2, -0.2],
                [1.25, 0.0, 0.0, 0.0, 1.25, 0.0, 0.0, 0.0],
                1e-12,
            ),
            (
                [0.2, 0.2, 0.2, 0.2],
                [1.0 / 1.2, 0.0, 0.0, 0.0, 1.0 / 1.2, 0.0, 0.0, 0.0],
                1e-12,
            ),
            (
                [0.2, -0.1, 0.05, -0.15],
                [
                    1.052632, 0.029574, 0.146126, 0.032687, 0.952381, 0.109699, 0.153817, 0.104476,
                ],
                6e-7,
            ),
        ] {
            let matrix = SymmetricWarp { magnitudes }.matrix();
            assert_eq!(matrix.0[2][2], 1.0);
            for (entry, want) in matrix.0.iter().flatten().zip(expected) {
                assert!((entry - want).abs() < tolerance, "{magnitudes:?}: {matrix:?}");
            }
        }
        let (x, y) = SymmetricWarp {
            magnitudes: [0.2, 0.0, 0.0, 0.0],
        }
        .matrix()
        .apply(1.0, 1.0);
        assert!((x - 1.0).abs() < 1e-12 && (y - 0.83333).abs() < 5e-6);
    }

    proptest! {
        #[test]
        fn moved_corners_go_to_the_corners(magnitudes in proptest::array::uniform4(-0.45f64..0.45)) {
            let matrix = SymmetricWarp { magnitudes }.matrix();
            let [right, left, bottom, top] = magnitudes;
            for (moved, corner) in [
                ((-1.0 - top, -1.0 - left), (-1.0, -1.0)),
                ((-1.0 - bottom, 1.0 + left), (-1.0, 1.0)),
                ((1.0 + top, -1.0 - right), (1.0, -1.0)),
                ((1.0 + bottom, 1.0 + right), (1.0, 1.0)),
            ] {
                let (x, y) = matrix.apply(moved.0, moved.1);
                prop_assert!((x - corner.0).abs() < 1e-9 && (y - corner.1).abs() < 1e-9, "{moved:?} went to {x} {y}");
            }
        }
    }
}

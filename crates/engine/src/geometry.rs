//! Projective maps, and the size of the canvas on which augmentations are defined.

/// A 3x3 projective map, row-major, from output to source coordinates: `(u, v, w) = M (column, row, 1)`, source = `(u / w, v / w)`. Both
/// are in pixels relative to the centre of the top left pixel, x to the right and y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projective(pub [[f64; 3]; 3]);

impl Projective {
    /// The identity.
    pub const IDENTITY: Self = Self([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);

    /// The map `(x, y) -> (x scale[0] + offset[0], y scale[1] + offset[1])`.
    #[must_use]
    pub fn scale_then_offset(scale: [f64; 2], offset: [f64; 2]) -> Self {
        Self([
            [scale[0], 0.0, offset[0]],
            [0.0, scale[1], offset[1]],
            [0.0, 0.0, 1.0],
        ])
    }

    /// The map that applies `inner` first, then `self`.
    #[must_use]
    pub fn compose(&self, inner: &Self) -> Self {
        let (a, b) = (&self.0, &inner.0);
        Self(std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                a[row][0] * b[0][column] + a[row][1] * b[1][column] + a[row][2] * b[2][column]
            })
        }))
    }

    /// The image of the point `(x, y)`. Not finite if the map takes it to infinity.
    #[must_use]
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let [u, v, w] = self.apply_homogeneous(x, y);
        (u / w, v / w)
    }

    /// The image of the point `(x, y)` in homogeneous coordinates, before the division by the third.
    #[must_use]
    pub fn apply_homogeneous(&self, x: f64, y: f64) -> [f64; 3] {
        self.0.map(|row| row[0] * x + row[1] * y + row[2])
    }

    /// The determinant of the matrix; 0 if the map has no inverse.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        let m = &self.0;
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    }

    /// The inverse map, or `None` if the matrix is singular or not finite.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let determinant = self.determinant();
        if determinant == 0.0 || !determinant.is_finite() {
            return None;
        }
        let m = &self.0;
        // Indices modulo 3 include the sign of each cofactor.
        let cofactor = |row: usize, column: usize| {
            let (r1, r2, c1, c2) = ((row + 1) % 3, (row + 2) % 3, (column + 1) % 3, (column + 2) % 3);
            m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
        };
        Some(Self(std::array::from_fn(|row| {
            std::array::from_fn(|column| cofactor(column, row) / determinant)
        })))
    }

    /// The same map, scaled so that the last entry of the matrix is 1. Entries are not finite if that entry is 0.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let last = self.0[2][2];
        Self(self.0.map(|row| row.map(|entry| entry / last)))
    }

    /// Whether the third coordinate is constant, so that no division per pixel is needed.
    #[must_use]
    pub fn is_affine(&self) -> bool {
        self.0[2][0] == 0.0 && self.0[2][1] == 0.0
    }
}

/// Width and height, in pixels, of the canvas to which a source of `(width, height)` is scaled: the short side is `target`, the long side
/// keeps the aspect ratio, rounded half to even.
///
/// # Source
///
/// fastai `Image.apply_tfms` with a square size and the crop method. Python's `round` rounds half to even.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are positive; only sources larger than any decoder accepts exceed u32, and there the cast saturates"
)]
pub fn canvas(source: (u32, u32), target: u32) -> (u32, u32) {
    let (width, height, target) = (f64::from(source.0), f64::from(source.1), f64::from(target));
    let ratio = (width / target).min(height / target);
    let side = |length: f64| ((length / ratio).round_ties_even() as u32).max(1);
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: &Projective, b: &Projective, tolerance: f64) -> bool {
        a.0.iter()
            .flatten()
            .zip(b.0.iter().flatten())
            .all(|(x, y)| (x - y).abs() <= tolerance)
    }

    #[test]
    fn canvas_sizes_match_the_reference() {
        for (source, expected) in [
            ((500, 375), (299, 224)),
            ((333, 500), (224, 336)),
            ((600, 448), (300, 224)),
            ((600, 450), (299, 224)),
            ((4032, 3024), (299, 224)),
            ((150, 100), (336, 224)),
            ((224, 224), (224, 224)),
            ((1, 1), (224, 224)),
        ] {
            assert_eq!(canvas(source, 224), expected, "{source:?}");
        }
    }

    proptest! {
        #[test]
        fn the_inverse_undoes_the_map(entries in proptest::array::uniform8(-0.3f64..0.3)) {
            let [a, b, c, d, e, f, g, h] = entries;
            let map = Projective([[1.0 + a, b, c], [d, 1.0 + e, f], [g, h, 1.0]]);
            let inverse = map.inverse().expect("far from singular");
            prop_assert!(close(&map.compose(&inverse).normalized(), &Projective::IDENTITY, 1e-9));
        }

        #[test]
        fn composition_applies_the_inner_map_first(x in -5.0f64..5.0, y in -5.0f64..5.0, s in 0.5f64..2.0, t in -3.0f64..3.0) {
            let scale = Projective::scale_then_offset([s, 2.0 * s], [0.0, 0.0]);
            let shift = Projective::scale_then_offset([1.0, 1.0], [t, -t]);
            let (u, v) = scale.compose(&shift).apply(x, y);
            prop_assert!((u - s * (x + t)).abs() < 1e-12 && (v - 2.0 * s * (y - t)).abs() < 1e-12);
        }
    }

    #[test]
    fn a_singular_map_has_no_inverse() {
        assert_eq!(
            Projective([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]]).inverse(),
            None
        );
    }
}

//! Affine operations on the cropped square.

use crate::geometry::Projective;

/// An affine operation on the output square, applied before the crop is located on the canvas. Pixels beyond the border of the source are
/// reflected.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AffineOp {
    /// One of the eight symmetries of the square: bit 0 mirrors left to right, bit 1 top to bottom, bit 2 transposes.
    Dihedral(u8),
    /// Shifts each row by this factor times its distance from the top edge.
    ShearX(f64),
    /// Shifts each column by this factor times its distance from the left edge.
    ShearY(f64),
    /// Shifts to the right by whole pixels.
    TranslateX(Length),
    /// Shifts down by whole pixels.
    TranslateY(Length),
    /// Rotates about the centre by degrees counter-clockwise. Serialised as `turn`.
    #[cfg_attr(feature = "serde", serde(rename = "turn"))]
    Rotate(f64),
}

/// A length in pixels or relative to the side of the square.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Length {
    /// Pixels.
    Pixels(f64),
    /// Fraction of the side. Serialised as `part`.
    #[cfg_attr(feature = "serde", serde(rename = "part"))]
    Fraction(f64),
}

impl Length {
    /// Truncated to whole pixels, as the reference does.
    fn pixels(self, size: u32) -> f64 {
        match self {
            Self::Pixels(pixels) => pixels.trunc(),
            Self::Fraction(fraction) => (fraction * f64::from(size)).trunc(),
        }
    }
}

impl AffineOp {
    /// The map from output to input pixels of a square of `size` pixels.
    ///
    /// # Source
    ///
    /// Signs and centres as in torchvision's `_apply_op`: shears fix the outer edge of the first row or column, rotations fix the centre.
    /// Dihedral symmetries as in fastai's `dihedral_affine`.
    #[must_use]
    pub fn matrix(&self, size: u32) -> Projective {
        let last = f64::from(size - 1);
        match *self {
            Self::Dihedral(number) => {
                let axis = |bit: u8| {
                    if number & bit == 0 {
                        (1.0, 0.0)
                    } else {
                        (-1.0, last)
                    }
                };
                let ((x, left), (y, top)) = (axis(1), axis(2));
                if number & 4 == 0 {
                    Projective([[x, 0.0, left], [0.0, y, top], [0.0, 0.0, 1.0]])
                } else {
                    Projective([[0.0, x, left], [y, 0.0, top], [0.0, 0.0, 1.0]])
                }
            }
            // Half a pixel: distances are from the edge, coordinates from the centre of the first pixel.
            Self::ShearX(level) => Projective([[1.0, level, level / 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
            Self::ShearY(level) => Projective([[1.0, 0.0, 0.0], [level, 1.0, level / 2.0], [0.0, 0.0, 1.0]]),
            Self::TranslateX(length) => {
                Projective::scale_then_offset([1.0, 1.0], [-length.pixels(size), 0.0])
            }
            Self::TranslateY(length) => {
                Projective::scale_then_offset([1.0, 1.0], [0.0, -length.pixels(size)])
            }
            Self::Rotate(degrees) => {
                let (sin, cos) = libm::sincos(degrees.to_radians());
                let middle = last / 2.0;
                let turn = Projective([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]);
                let out = Projective::scale_then_offset([1.0, 1.0], [middle, middle]);
                let back = Projective::scale_then_offset([1.0, 1.0], [-middle, -middle]);
                out.compose(&turn).compose(&back)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(map: &Projective, from: (f64, f64), to: (f64, f64)) {
        let (x, y) = map.apply(from.0, from.1);
        assert!(
            (x - to.0).abs() < 1e-9 && (y - to.1).abs() < 1e-9,
            "{map:?}: {x} {y}"
        );
    }

    #[test]
    fn the_eight_symmetries_differ_and_map_the_square_to_itself() {
        let corner = |number: u8| {
            let map = AffineOp::Dihedral(number).matrix(5);
            let seen = [(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)].map(|(x, y)| map.apply(x, y));
            assert!(
                seen.iter()
                    .all(|(x, y)| [0.0, 4.0].contains(x) && [0.0, 4.0].contains(y))
            );
            seen
        };
        for number in 0..8 {
            assert!(
                (0..number).all(|other| corner(other) != corner(number)),
                "{number}"
            );
        }
        near(&AffineOp::Dihedral(1).matrix(5), (0.0, 1.0), (4.0, 1.0));
        near(&AffineOp::Dihedral(2).matrix(5), (0.0, 1.0), (0.0, 3.0));
        near(&AffineOp::Dihedral(4).matrix(5), (0.0, 1.0), (1.0, 0.0));
    }

    #[test]
    fn shears_translations_and_rotations_match_the_reference() {
        // Pillow's affine transform (1, 0.5, 0, 0, 1, 0) takes the centre (0.5, 3.5) to (2.25, 3.5).
        near(&AffineOp::ShearX(0.5).matrix(8), (0.0, 3.0), (1.75, 3.0));
        near(&AffineOp::ShearY(-0.5).matrix(8), (3.0, 0.0), (3.0, -1.75));
        near(
            &AffineOp::TranslateX(Length::Pixels(3.9)).matrix(8),
            (5.0, 1.0),
            (2.0, 1.0),
        );
        near(
            &AffineOp::TranslateY(Length::Fraction(-0.25)).matrix(8),
            (5.0, 1.0),
            (5.0, 3.0),
        );
        // A quarter turn counter-clockwise takes the top right corner to the top left.
        near(&AffineOp::Rotate(90.0).matrix(5), (0.0, 0.0), (4.0, 0.0));
        near(&AffineOp::Rotate(33.0).matrix(5), (2.0, 2.0), (2.0, 2.0));
    }
}

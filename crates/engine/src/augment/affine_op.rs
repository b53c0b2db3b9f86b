//! Maps of the finished square onto itself.

use crate::geometry::Projective;

/// A map of the square that is sent, before its place on the canvas is looked up. Lengths are parts of the square's side unless said
/// otherwise; what comes from beyond the source's border is its reflection.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AffineOp {
    /// One of the eight symmetries: bit 0 mirrors left and right, bit 1 top and bottom, bit 2 exchanges rows and columns.
    Dihedral(u8),
    /// Each row moves by this times its distance from the top.
    ShearX(f64),
    /// Each column moves by this times its distance from the left.
    ShearY(f64),
    /// Whole pixels to the right.
    TranslateX(Length),
    /// Whole pixels down.
    TranslateY(Length),
    /// Degrees, counter-clockwise, about the middle.
    #[cfg_attr(feature = "serde", serde(rename = "turn"))]
    Rotate(f64),
}

/// A length that may follow the size of the square.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Length {
    /// In pixels.
    Pixels(f64),
    /// As a part of the side.
    Part(f64),
}

impl Length {
    /// Truncated to whole pixels, as the reference does.
    fn pixels(self, size: u32) -> f64 {
        match self {
            Self::Pixels(pixels) => pixels.trunc(),
            Self::Part(part) => (part * f64::from(size)).trunc(),
        }
    }
}

impl AffineOp {
    /// From pixels of the result to pixels of the square before, both `size` pixels wide.
    ///
    /// # Source
    ///
    /// Signs and centres are those of torchvision's `_apply_op`: shears leave the outer edge of the first row or column where it is, turns
    /// are about the middle. Dihedral symmetries are fastai's `dihedral_affine`.
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
            // Half a pixel: the distance is from the edge, the coordinate from the first pixel's centre.
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
    fn the_eight_symmetries_differ_and_keep_the_square() {
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
    fn shears_translations_and_turns_are_those_of_the_reference() {
        // Pillow's affine transform (1, 0.5, 0, 0, 1, 0) takes the centre (0.5, 3.5) to (2.25, 3.5).
        near(&AffineOp::ShearX(0.5).matrix(8), (0.0, 3.0), (1.75, 3.0));
        near(&AffineOp::ShearY(-0.5).matrix(8), (3.0, 0.0), (3.0, -1.75));
        near(
            &AffineOp::TranslateX(Length::Pixels(3.9)).matrix(8),
            (5.0, 1.0),
            (2.0, 1.0),
        );
        near(
            &AffineOp::TranslateY(Length::Part(-0.25)).matrix(8),
            (5.0, 1.0),
            (5.0, 3.0),
        );
        // What is at the top right comes to the top left by a quarter turn counter-clockwise.
        near(&AffineOp::Rotate(90.0).matrix(5), (0.0, 0.0), (4.0, 0.0));
        near(&AffineOp::Rotate(33.0).matrix(5), (2.0, 2.0), (2.0, 2.0));
    }
}

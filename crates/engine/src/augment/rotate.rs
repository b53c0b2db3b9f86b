//! Rotation about the centre of the canvas.

use rand::Rng;

use crate::geometry::Projective;
use crate::random::uniform;

/// A rotation. Positive angles rotate the visible content counter-clockwise.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rotate {
    /// Angle in degrees.
    pub degrees: f64,
}

impl Rotate {
    pub(super) fn draw(generator: &mut impl Rng, max_degrees: f64) -> Self {
        Self {
            degrees: uniform(generator, -max_degrees, max_degrees),
        }
    }

    /// The map from output to source in coordinates where the canvas is `[-1, 1]` on both axes, before the correction for the aspect ratio.
    #[must_use]
    pub fn matrix(&self) -> Projective {
        // The C library chooses its implementation by processor; results may differ in the last bit. `libm` does not.
        let (sin, cos) = libm::sincos(self.degrees.to_radians());
        Projective([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_angles_turn_the_content_counter_clockwise() {
        // In a 5x5 image the content of (row 3, column 3) is seen at (row 1, column 3) after 90 degrees.
        let (x, y) = Rotate { degrees: 90.0 }.matrix().apply(0.5, -0.5);
        assert!((x - 0.5).abs() < 1e-12 && (y - 0.5).abs() < 1e-12, "{x} {y}");
        let (x, y) = Rotate { degrees: -90.0 }.matrix().apply(-0.5, 0.5);
        assert!((x - 0.5).abs() < 1e-12 && (y - 0.5).abs() < 1e-12, "{x} {y}");
    }
}

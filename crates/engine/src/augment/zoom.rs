//! Zoom towards a point of the canvas.

use rand::Rng;

use super::CropRange;
use crate::geometry::Projective;
use crate::random::uniform;

/// Zoom with a scale uniform over `[min, max]`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ZoomRange {
    /// Minimum scale.
    pub min: f32,
    /// Maximum scale.
    pub max: f32,
    /// Probability.
    pub p: f32,
}

impl ZoomRange {
    /// Disabled.
    pub const OFF: Self = Self {
        min: 1.0,
        max: 1.0,
        p: 0.0,
    };

    pub(super) fn normalized(self) -> Self {
        if (self.min, self.max) == (1.0, 1.0) || self.p == 0.0 {
            Self::OFF
        } else {
            self
        }
    }
}

/// A zoom towards a focus, or away from it if the scale is below 1; the border then shows reflections.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Zoom {
    /// Magnification; 1 is the identity.
    pub scale: f64,
    /// The fixed row, as a fraction of the height.
    pub row: f64,
    /// The fixed column, as a fraction of the width.
    pub column: f64,
}

impl Zoom {
    pub(super) fn draw(generator: &mut impl Rng, scale: &ZoomRange, focus: &CropRange) -> Self {
        let mut between = |low: f32, high: f32| uniform(generator, low.into(), high.into());
        Self {
            scale: between(scale.min, scale.max),
            row: between(focus.row_min, focus.row_max),
            column: between(focus.column_min, focus.column_max),
        }
    }

    /// The map from output to source in coordinates where the canvas is `[-1, 1]` on both axes.
    #[must_use]
    pub fn matrix(&self) -> Projective {
        let inverse = 1.0 / self.scale;
        let room = 1.0 - inverse;
        Projective::scale_then_offset(
            [inverse, inverse],
            [room * (2.0 * self.column - 1.0), room * (2.0 * self.row - 1.0)],
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_focus_is_fixed_and_the_canvas_is_covered(scale in 1.0f64..4.0, row in 0.0f64..=1.0, column in 0.0f64..=1.0) {
            let matrix = Zoom { scale, row, column }.matrix();
            let focus = (2.0 * column - 1.0, 2.0 * row - 1.0);
            let (x, y) = matrix.apply(focus.0, focus.1);
            prop_assert!((x - focus.0).abs() < 1e-12 && (y - focus.1).abs() < 1e-12);
            for corner in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
                let (x, y) = matrix.apply(corner.0, corner.1);
                prop_assert!(x.abs() <= 1.0 + 1e-12 && y.abs() <= 1.0 + 1e-12);
            }
        }
    }
}

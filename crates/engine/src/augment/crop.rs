//! Cropping a square from the canvas.

use rand::Rng;

use crate::random::uniform;

/// Position of the crop, as fractions of the possible range: 0 is the top or left end, 1 the bottom or right end.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Crop {
    /// Vertical position, in `[0, 1]`.
    pub row: f64,
    /// Horizontal position, in `[0, 1]`.
    pub column: f64,
}

impl Crop {
    /// The centre crop.
    pub const CENTER: Self = Self {
        row: 0.5,
        column: 0.5,
    };

    pub(super) fn draw(generator: &mut impl Rng, range: &CropRange) -> Self {
        let mut between = |low: f32, high: f32| uniform(generator, low.into(), high.into());
        Self {
            row: between(range.row_min, range.row_max),
            column: between(range.column_min, range.column_max),
        }
    }

    /// Column and row of the canvas pixel at the top left of the crop, for a canvas of `(width, height)` no smaller than `size`.
    #[must_use]
    pub fn start(&self, canvas: (u32, u32), size: u32) -> (u32, u32) {
        (
            start(canvas.0, size, self.column),
            start(canvas.1, size, self.row),
        )
    }
}

/// The range from which a [`Crop`] is drawn, uniformly on both axes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CropRange {
    /// Minimum of [`Crop::row`].
    pub row_min: f32,
    /// Maximum.
    pub row_max: f32,
    /// Minimum of [`Crop::column`].
    pub column_min: f32,
    /// Maximum.
    pub column_max: f32,
}

impl CropRange {
    /// Always the centre.
    pub const CENTER: Self = Self {
        row_min: 0.5,
        row_max: 0.5,
        column_min: 0.5,
        column_max: 0.5,
    };
    /// Anywhere.
    pub const ANYWHERE: Self = Self {
        row_min: 0.0,
        row_max: 1.0,
        column_min: 0.0,
        column_max: 1.0,
    };
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "truncated as in the reference; the product lies within 0..=length"
)]
fn start(length: u32, size: u32, fraction: f64) -> u32 {
    // A fraction of exactly 1 would start one pixel too late.
    let fraction = if fraction == 1.0 { 1.0 - 1e-7 } else { fraction };
    (f64::from(length.saturating_sub(size) + 1) * fraction) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centre_crops_start_as_in_the_reference() {
        assert_eq!(Crop::CENTER.start((299, 224), 224), (38, 0));
        assert_eq!(Crop::CENTER.start((224, 336), 224), (0, 56));
        assert_eq!(
            Crop::CENTER.start((225, 224), 224),
            (1, 0),
            "an odd pixel goes to the left"
        );
    }

    #[test]
    fn crops_reach_both_ends_of_the_canvas() {
        assert_eq!(
            Crop {
                row: 0.0,
                column: 0.0
            }
            .start((300, 250), 224),
            (0, 0)
        );
        assert_eq!(
            Crop {
                row: 1.0,
                column: 1.0
            }
            .start((300, 250), 224),
            (76, 26)
        );
        assert_eq!(
            Crop {
                row: 0.999_999,
                column: 0.999_999
            }
            .start((300, 250), 224),
            (76, 26)
        );
    }
}

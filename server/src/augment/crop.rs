//! Cutting a square out of the canvas.

use rand::Rng;
use serde::Serialize;

use crate::random::uniform;

/// Where the square is cut out, as fractions of the room there is: 0 is the top or left end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Crop {
    /// In `[0, 1]`.
    pub row: f64,
    /// In `[0, 1]`.
    pub column: f64,
}

impl Crop {
    /// The middle.
    pub const CENTER: Self = Self {
        row: 0.5,
        column: 0.5,
    };

    pub(super) fn draw(generator: &mut impl Rng) -> Self {
        Self {
            row: uniform(generator, 0.0, 1.0),
            column: uniform(generator, 0.0, 1.0),
        }
    }

    /// Column and row of the canvas pixel that becomes the top left one, for a canvas of `(width, height)` no smaller than `size`.
    #[must_use]
    pub fn start(&self, canvas: (u32, u32), size: u32) -> (u32, u32) {
        (
            start(canvas.0, size, self.column),
            start(canvas.1, size, self.row),
        )
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "truncation is the reference's; the product lies within 0..=length"
)]
fn start(length: u32, size: u32, fraction: f64) -> u32 {
    // Exactly 1 would start one past the last place.
    let fraction = if fraction == 1.0 { 1.0 - 1e-7 } else { fraction };
    (f64::from(length.saturating_sub(size) + 1) * fraction) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centre_crops_start_where_the_reference_starts() {
        assert_eq!(Crop::CENTER.start((299, 224), 224), (38, 0));
        assert_eq!(Crop::CENTER.start((224, 336), 224), (0, 56));
        assert_eq!(
            Crop::CENTER.start((225, 224), 224),
            (1, 0),
            "an odd pixel goes to the left"
        );
    }

    #[test]
    fn crops_reach_both_ends_and_no_further() {
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

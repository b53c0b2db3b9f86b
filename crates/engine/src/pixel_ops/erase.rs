//! Erasing a rectangle.

use super::CHANNELS;

/// Value of erased pixels: the mean of the ImageNet training images, which the default normalisation maps to 0 up to rounding.
pub(super) const FILL: [u8; CHANNELS] = [124, 116, 104];

/// A rectangle of a square image, as fractions of the side of the image.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct EraseRect {
    /// Height, in `0..=1`.
    pub height: f64,
    /// Width, in `0..=1`.
    pub width: f64,
    /// Vertical position: 0 at the top, 1 at the bottom.
    pub row: f64,
    /// Horizontal position: 0 at the left, 1 at the right.
    pub column: f64,
}

impl EraseRect {
    /// Top, left, height and width in pixels.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "fractions of the side are within 0..=size"
    )]
    pub fn pixels(&self, size: usize) -> [usize; 4] {
        let side = |fraction: f64| ((fraction * size as f64).round() as usize).min(size);
        let start = |length: usize, position: f64| ((size - length + 1) as f64 * position) as usize;
        let (height, width) = (side(self.height), side(self.width));
        [
            start(height, self.row).min(size - height),
            start(width, self.column).min(size - width),
            height,
            width,
        ]
    }

    pub(super) fn fill(&self, pixels: &mut [u8], size: usize) {
        let [top, left, height, width] = self.pixels(size);
        let (whole, _) = pixels.as_chunks_mut::<CHANNELS>();
        for row in top..top + height {
            whole[row * size + left..][..width].fill(FILL);
        }
    }
}

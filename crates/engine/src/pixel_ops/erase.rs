//! Erasing a rectangle.

use super::CHANNELS;

/// What erased pixels become: the mean of the ImageNet training images, which the default normalisation takes to 0 within rounding.
pub(super) const FILL: [u8; CHANNELS] = [124, 116, 104];

/// A rectangle of a square image, in parts of its side.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct EraseRect {
    /// Height.
    pub height: f64,
    /// Width.
    pub width: f64,
    /// Where it lies between the top, 0, and the bottom, 1.
    pub row: f64,
    /// Where it lies between left and right.
    pub column: f64,
}

impl EraseRect {
    /// Top, left, height and width in pixels.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "parts of the side are within 0..=size"
    )]
    pub fn pixels(&self, size: usize) -> [usize; 4] {
        let side = |part: f64| ((part * size as f64).round() as usize).min(size);
        let start = |length: usize, place: f64| ((size - length + 1) as f64 * place) as usize;
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

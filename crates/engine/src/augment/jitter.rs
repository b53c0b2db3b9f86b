//! Colour jitter.

use rand_chacha::ChaCha8Rng;

use crate::pixel_ops::PixelOp;
use crate::random::{below, uniform};

/// Ranges of colour jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Jitter {
    /// The brightness factor is uniform over `[1 - brightness, 1 + brightness]`.
    pub brightness: f32,
    /// The contrast factor is uniform over `[1 - contrast, 1 + contrast]`.
    pub contrast: f32,
    /// The saturation factor is uniform over `[1 - saturation, 1 + saturation]`.
    pub saturation: f32,
    /// The hue shift, as a fraction of the colour circle, is uniform over `[-hue, hue]`.
    pub hue: f32,
    /// Probability of the jitter as a whole.
    pub p: f32,
}

impl Jitter {
    /// Disabled.
    pub const OFF: Self = Self {
        brightness: 0.0,
        contrast: 0.0,
        saturation: 0.0,
        hue: 0.0,
        p: 0.0,
    };

    pub(super) fn normalized(self) -> Self {
        let is_identity = [self.brightness, self.contrast, self.saturation, self.hue] == [0.0; 4];
        if is_identity || self.p == 0.0 {
            Self::OFF
        } else {
            self
        }
    }

    /// Draws the operations and their order, and appends them.
    ///
    /// # Source
    ///
    /// torchvision's `ColorJitter`.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "pixel operations have single-precision parameters"
    )]
    pub(super) fn draw(self, generator: &mut ChaCha8Rng, pixel_ops: &mut Vec<PixelOp>) {
        let mut about = |centre: f64, range: f32| {
            let range = f64::from(range);
            uniform(generator, centre - range, centre + range) as f32
        };
        let mut all = [
            (self.brightness, PixelOp::Brightness(about(1.0, self.brightness))),
            (self.contrast, PixelOp::Contrast(about(1.0, self.contrast))),
            (self.saturation, PixelOp::Saturation(about(1.0, self.saturation))),
            (self.hue, PixelOp::Hue(about(0.0, self.hue))),
        ];
        for last in (1..all.len()).rev() {
            all.swap(last, below(generator, last as u32 + 1) as usize);
        }
        pixel_ops.extend(all.iter().filter(|(range, _)| *range > 0.0).map(|(_, op)| *op));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    #[test]
    fn factors_stay_in_range_and_orders_are_uniform() {
        let jitter = Jitter {
            brightness: 0.4,
            hue: 0.1,
            saturation: 1.0,
            ..Jitter::OFF
        };
        let mut first = [0; 3];
        for seed in 0..600 {
            let mut pixel_ops = vec![];
            jitter.draw(&mut generator(seed, Purpose::AUGMENT, &[]), &mut pixel_ops);
            assert_eq!(pixel_ops.len(), 3, "operations with a range of 0 are left out");
            for (index_in_order, op) in pixel_ops.iter().enumerate() {
                let (index, value, low, high) = match *op {
                    PixelOp::Brightness(value) => (0, value, 0.6, 1.4),
                    PixelOp::Saturation(value) => (1, value, 0.0, 2.0),
                    PixelOp::Hue(value) => (2, value, -0.1, 0.1),
                    other => panic!("{other:?}"),
                };
                assert!((low - 1e-6..=high + 1e-6).contains(&value), "{op:?}");
                first[index] += i32::from(index_in_order == 0);
            }
        }
        assert!(first.iter().all(|count| (140..260).contains(count)), "{first:?}");
    }
}

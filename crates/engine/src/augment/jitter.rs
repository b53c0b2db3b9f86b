//! Colour jitter.

use rand_chacha::ChaCha8Rng;

use crate::pixel_ops::PixelOp;
use crate::random::{below, uniform};

/// How far colours are moved, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Jitter {
    /// The factor is uniform over `[1 - brightness, 1 + brightness]`.
    pub brightness: f32,
    /// Likewise.
    pub contrast: f32,
    /// Likewise.
    pub saturation: f32,
    /// Turns of the colour circle: uniform over `[-hue, hue]`.
    pub hue: f32,
    /// Probability of all together.
    pub p: f32,
}

impl Jitter {
    /// Never.
    pub const OFF: Self = Self {
        brightness: 0.0,
        contrast: 0.0,
        saturation: 0.0,
        hue: 0.0,
        p: 0.0,
    };

    pub(super) fn normalized(self) -> Self {
        let is_still = [self.brightness, self.contrast, self.saturation, self.hue] == [0.0; 4];
        if is_still || self.p == 0.0 {
            Self::OFF
        } else {
            self
        }
    }

    /// Appends what is drawn, in an order that is drawn too.
    ///
    /// # Source
    ///
    /// torchvision's `ColorJitter`.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "single precision is what a touch holds"
    )]
    pub(super) fn draw(self, generator: &mut ChaCha8Rng, pixel_ops: &mut Vec<PixelOp>) {
        let mut about = |centre: f64, reach: f32| {
            let reach = f64::from(reach);
            uniform(generator, centre - reach, centre + reach) as f32
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
        pixel_ops.extend(
            all.iter()
                .filter(|(reach, _)| *reach > 0.0)
                .map(|(_, touch)| *touch),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    #[test]
    fn factors_stay_in_range_and_come_in_any_order() {
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
            assert_eq!(pixel_ops.len(), 3, "nothing is drawn of a strength of 0");
            for (place, touch) in pixel_ops.iter().enumerate() {
                let (index, value, low, high) = match *touch {
                    PixelOp::Brightness(value) => (0, value, 0.6, 1.4),
                    PixelOp::Saturation(value) => (1, value, 0.0, 2.0),
                    PixelOp::Hue(value) => (2, value, -0.1, 0.1),
                    other => panic!("{other:?}"),
                };
                assert!((low - 1e-6..=high + 1e-6).contains(&value), "{touch:?}");
                first[index] += i32::from(place == 0);
            }
        }
        assert!(first.iter().all(|count| (140..260).contains(count)), "{first:?}");
    }
}

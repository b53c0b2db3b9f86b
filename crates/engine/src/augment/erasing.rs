//! Random erasing (cutout).

use rand_chacha::ChaCha8Rng;

use crate::pixel_ops::{EraseRect, PixelOp};
use crate::random::{below, uniform};

/// Attempts to find a rectangle that fits, as in the reference.
const TRIES: usize = 10;

/// Distribution of erased rectangles.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Erasing {
    /// Probability.
    pub p: f32,
    /// Minimum area of a rectangle, as a fraction of the image.
    pub area_min: f32,
    /// Maximum area.
    pub area_max: f32,
    /// Height divided by width is log-uniform over `[1 / ratio, ratio]`.
    pub ratio: f32,
    /// The number of rectangles is uniform over `1..=holes`; an integer.
    pub holes: f32,
}

impl Erasing {
    /// Disabled.
    pub const OFF: Self = Self {
        p: 0.0,
        area_min: 0.0,
        area_max: 0.0,
        ratio: 1.0,
        holes: 1.0,
    };

    pub(super) fn normalized(self) -> Self {
        if self.p == 0.0 || self.area_max == 0.0 {
            Self::OFF
        } else {
            self
        }
    }

    /// Draws rectangles and appends them; a rectangle for which no shape fits is left out.
    ///
    /// # Source
    ///
    /// Zhong et al., *Random Erasing Data Augmentation*, 2017, as in torchvision's `RandomErasing`.
    pub(super) fn draw(self, generator: &mut ChaCha8Rng, pixel_ops: &mut Vec<PixelOp>) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small integer, checked by `Recipe::validate`"
        )]
        let most = self.holes as u32;
        let limit = libm::log(f64::from(self.ratio));
        for _ in 0..=below(generator, most) {
            let shape = (0..TRIES).find_map(|_| {
                let area = uniform(generator, self.area_min.into(), self.area_max.into());
                let ratio = libm::exp(uniform(generator, -limit, limit));
                let (height, width) = ((area * ratio).sqrt(), (area / ratio).sqrt());
                (height < 1.0 && width < 1.0).then_some((height, width))
            });
            let (row, column) = (uniform(generator, 0.0, 1.0), uniform(generator, 0.0, 1.0));
            pixel_ops.extend(shape.map(|(height, width)| {
                PixelOp::Erase(EraseRect {
                    height,
                    width,
                    row,
                    column,
                })
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    #[test]
    fn rectangles_have_the_configured_sizes_and_counts() {
        let erasing = Erasing {
            p: 1.0,
            area_min: 0.02,
            area_max: 0.33,
            ratio: 3.3,
            holes: 3.0,
        };
        let mut counts = [0; 4];
        for seed in 0..600 {
            let mut pixel_ops = vec![];
            erasing.draw(&mut generator(seed, Purpose::AUGMENT, &[]), &mut pixel_ops);
            counts[pixel_ops.len()] += 1;
            for op in pixel_ops {
                let PixelOp::Erase(rect) = op else {
                    panic!("{op:?}")
                };
                let (area, ratio) = (rect.height * rect.width, rect.height / rect.width);
                assert!((0.02 - 1e-6..0.33 + 1e-6).contains(&area), "{rect:?}");
                assert!((1.0 / 3.31..3.31).contains(&ratio), "{rect:?}");
                let [top, left, height, width] = rect.pixels(56);
                assert!(top + height <= 56 && left + width <= 56, "{rect:?}");
            }
        }
        assert_eq!(counts[0], 0, "a fitting shape is found in ten attempts");
        assert!(
            counts[1..].iter().all(|count| (150..250).contains(count)),
            "{counts:?}"
        );
    }
}

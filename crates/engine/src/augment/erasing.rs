//! Random erasing, also known as cutout.

use rand_chacha::ChaCha8Rng;

use crate::pixel_ops::{EraseRect, PixelOp};
use crate::random::{below, uniform};

/// Tries to find a shape that fits, as many as the reference makes.
const TRIES: usize = 10;

/// From which distribution holes are drawn, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Erasing {
    /// Probability.
    pub p: f32,
    /// Least part of the image's area, for each hole.
    pub area_min: f32,
    /// Greatest.
    pub area_max: f32,
    /// Height divided by width is log-uniform over `[1 / ratio, ratio]`.
    pub ratio: f32,
    /// The number of holes is uniform over `1..=holes`; whole.
    pub holes: f32,
}

impl Erasing {
    /// Never.
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

    /// Appends what is drawn: no hole where no shape fits.
    ///
    /// # Source
    ///
    /// Zhong et al., *Random Erasing Data Augmentation*, 2017, as torchvision's `RandomErasing` draws it.
    pub(super) fn draw(self, generator: &mut ChaCha8Rng, pixel_ops: &mut Vec<PixelOp>) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and small, as checked with the recipe"
        )]
        let most = self.holes as u32;
        let reach = libm::log(f64::from(self.ratio));
        for _ in 0..=below(generator, most) {
            let shape = (0..TRIES).find_map(|_| {
                let area = uniform(generator, self.area_min.into(), self.area_max.into());
                let ratio = libm::exp(uniform(generator, -reach, reach));
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
    fn holes_have_the_sizes_and_numbers_asked_for() {
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
            for touch in pixel_ops {
                let PixelOp::Erase(hole) = touch else {
                    panic!("{touch:?}")
                };
                let (area, ratio) = (hole.height * hole.width, hole.height / hole.width);
                assert!((0.02 - 1e-6..0.33 + 1e-6).contains(&area), "{hole:?}");
                assert!((1.0 / 3.31..3.31).contains(&ratio), "{hole:?}");
                let [top, left, height, width] = hole.pixels(56);
                assert!(top + height <= 56 && left + width <= 56, "{hole:?}");
            }
        }
        assert_eq!(counts[0], 0, "a fitting shape is found in ten tries");
        assert!(
            counts[1..].iter().all(|count| (150..250).contains(count)),
            "{counts:?}"
        );
    }
}

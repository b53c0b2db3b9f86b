//! Mixup and cutmix: of pairs of images of a batch, or of images of the balance into natural ones.

use std::f64::consts::PI;

use rand_chacha::ChaCha8Rng;

use crate::mix::{Mix, Rectangle};
use crate::random::{below, uniform};

/// Distribution of mixing weights.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Mixing {
    /// Weights are distributed as Beta(alpha, alpha): near 0 and 1 for small alpha, uniform for 1, near 0.5 for large alpha. For mixup
    /// `from_natural` as Beta(alpha, 1): near 0 for small alpha.
    pub alpha: f32,
    /// Probability that a pair is mixed; with `from_natural`, that a batch is.
    pub p: f32,
    /// Images of the balance are mixed into images that are drawn as often as the split has them. All of a batch have the same weight and
    /// rectangle. Otherwise both images of a pair are of the balance.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub from_natural: bool,
}

/// How the images of a batch are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchMix {
    /// Weighted sums of all pixels.
    Mixup(Mixing),
    /// Exchanged rectangles.
    Cutmix(Mixing),
}

impl Mixing {
    /// Disabled.
    pub const OFF: Self = Self {
        alpha: 1.0,
        p: 0.0,
        from_natural: false,
    };

    pub(super) fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }
}

impl BatchMix {
    /// The methods of a recipe, at most one of each kind.
    pub(super) fn enabled(mixup: Mixing, cutmix: Mixing) -> impl Iterator<Item = Self> {
        let methods = [(mixup.p, Self::Mixup(mixup)), (cutmix.p, Self::Cutmix(cutmix))];
        methods
            .into_iter()
            .filter(|(p, _)| *p > 0.0)
            .map(|(_, method)| method)
    }

    /// Chooses mixup or cutmix for a batch, each with probability 0.5 if a recipe has both; `None` if it has neither.
    pub(super) fn draw(mixup: Mixing, cutmix: Mixing, generator: &mut ChaCha8Rng) -> Option<Self> {
        let mut enabled = Self::enabled(mixup, cutmix);
        match (enabled.next(), enabled.next()) {
            (Some(one), Some(other)) => Some(if below(generator, 2) == 0 { one } else { other }),
            (method, _) => method,
        }
    }

    /// The distribution of its weights.
    pub(super) fn mixing(self) -> Mixing {
        let (Self::Mixup(mixing) | Self::Cutmix(mixing)) = self;
        mixing
    }

    /// Draws how two images, `size` by `size` pixels, are mixed; `None` if they are not.
    ///
    /// # Source
    ///
    /// Mixup: Zhang et al., 2018, with fastai's rule that an image keeps the larger weight. Cutmix: Yun et al., 2019, as in torchvision's
    /// `CutMix`: a square with a uniform centre, clipped at the border, whose clipped area is the weight. Unlike both, each pair of a batch
    /// has its own weight. `from_natural`: Balanced-MixUp (Galdran et al., *Balanced-MixUp for Highly Imbalanced Medical Image
    /// Classification*, MICCAI 2021: the balanced image has a weight from Beta(alpha, 1)) and CMO (Park et al., *The Majority Can Help the
    /// Minority: Context-rich Minority Oversampling for Long-tailed Classification*, CVPR 2022: the rectangle is of the balanced image).
    #[must_use]
    pub fn draw_mix(self, generator: &mut ChaCha8Rng, size: u32) -> Option<Mix> {
        let Mixing {
            alpha,
            p,
            from_natural,
        } = self.mixing();
        let alpha = f64::from(alpha);
        let is_mixed = uniform(generator, 0.0, 1.0) < f64::from(p);
        let mix = match self {
            Self::Mixup(_) if from_natural => mixup(libm::pow(uniform(generator, 0.0, 1.0), 1.0 / alpha)),
            Self::Mixup(_) => {
                let weight = symmetric_beta(generator, alpha);
                mixup(weight.min(1.0 - weight))
            }
            Self::Cutmix(_) => {
                let weight = symmetric_beta(generator, alpha);
                let centre = (below(generator, size), below(generator, size));
                Mix::Cutmix(rectangle(weight, size, centre))
            }
        };
        is_mixed.then_some(mix)
    }

    /// The mean weight of the image that is mixed in, over all batches, if the method is `from_natural`.
    pub(super) fn mean_weight(self, size: u32) -> f64 {
        let Mixing { alpha, p, .. } = self.mixing();
        let alpha = f64::from(alpha);
        let mixed = match self {
            Self::Mixup(_) => alpha / (alpha + 1.0),
            Self::Cutmix(_) => mean_area(alpha, size),
        };
        f64::from(p) * mixed
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to WHOLE"
)]
fn mixup(weight: f64) -> Mix {
    Mix::Mixup((weight * f64::from(Mix::WHOLE)).round() as u16)
}

/// Half the side of a square with a fraction `weight` of the area of an image, in whole pixels.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most half a side of the image"
)]
fn half_side(weight: f64, size: u32) -> u32 {
    (0.5 * weight.sqrt() * f64::from(size)) as u32
}

/// The mean fraction of the image within a [`rectangle`] with weights from Beta(alpha, alpha) and uniform centres.
///
/// Clipped to an image of side `s`, the sides `2h` of a square have a mean of `h (2 - h / s)`, each independently of the other. The mean over
/// weights is taken at the midpoints of a grid over the two uniform numbers that give one.
fn mean_area(alpha: f64, size: u32) -> f64 {
    const POINTS: u32 = 128;
    let midpoints = || (0..POINTS).map(|point| (f64::from(point) + 0.5) / f64::from(POINTS));
    let area = |(u, v)| {
        let half = f64::from(half_side(symmetric_beta_of(u, v, alpha), size));
        let side = half / f64::from(size) * (2.0 - half / f64::from(size));
        side * side
    };
    let grid = midpoints().flat_map(|u| midpoints().map(move |v| (u, v)));
    grid.map(area).sum::<f64>() / f64::from(POINTS * POINTS)
}

/// A square around `centre` (column, row) with a fraction `weight` of the area of an image of `size` by `size` pixels, clipped to the
/// image.
fn rectangle(weight: f64, size: u32, centre: (u32, u32)) -> Rectangle {
    let half = half_side(weight, size);
    let clipped = |centre: u32| (centre.saturating_sub(half), (centre + half).min(size));
    let ((left, right), (top, bottom)) = (clipped(centre.0), clipped(centre.1));
    Rectangle {
        top,
        left,
        height: bottom - top,
        width: right - left,
    }
}

/// A number distributed as Beta(alpha, alpha), computed from two uniform numbers for any `alpha`.
///
/// # Source
///
/// Devroye, *Random variate generation in one line of code*, 1996, with Bailey's polar method for Student's t-distribution:
/// `1/2 + z / (2 sqrt(1 + z^2))` for `z = sqrt(u^(-1/alpha) - 1) cos(2 pi v)`. Rearranged so that small alphas do not overflow.
fn symmetric_beta(generator: &mut ChaCha8Rng, alpha: f64) -> f64 {
    let (u, v) = (uniform(generator, 0.0, 1.0), uniform(generator, 0.0, 1.0));
    symmetric_beta_of(u, v, alpha)
}

fn symmetric_beta_of(u: f64, v: f64, alpha: f64) -> f64 {
    let power = libm::pow(u, 1.0 / alpha);
    let cosine = libm::cos(2.0 * PI * v);
    0.5 + 0.5 * cosine / (cosine * cosine + power / (1.0 - power)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    const DRAWS: u64 = 4000;

    fn betas(alpha: f64) -> Vec<f64> {
        let mut shares: Vec<f64> = (0..DRAWS)
            .map(|seed| symmetric_beta(&mut generator(seed, Purpose::PAIR_MIX, &[]), alpha))
            .collect();
        shares.sort_by(f64::total_cmp);
        shares
    }

    /// The Kolmogorov-Smirnov statistic of sorted draws against a distribution function.
    fn distance(draws: &[f64], distribution: impl Fn(f64) -> f64) -> f64 {
        let count = draws.len() as f64;
        let at = |(index, &draw): (usize, &f64)| (distribution(draw) - (index as f64 + 0.5) / count).abs();
        draws.iter().enumerate().map(at).fold(0.0, f64::max)
    }

    #[test]
    fn weights_are_distributed_as_beta() {
        // The critical value for a significance of one in ten thousand.
        let bound = 2.2 / (DRAWS as f64).sqrt();
        let arcsine = |x: f64| 2.0 / PI * x.sqrt().asin();
        for (name, found) in [
            ("uniform", distance(&betas(1.0), |x| x)),
            ("arcsine", distance(&betas(0.5), arcsine)),
            ("cubic", distance(&betas(2.0), |x| x * x * (3.0 - 2.0 * x))),
        ] {
            assert!(found < bound, "{name}: {found}");
        }
        for alpha in [0.05, 0.2, 0.4, 5.0, 100.0] {
            let draws = betas(alpha);
            let mean = draws.iter().sum::<f64>() / DRAWS as f64;
            let variance = draws.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / DRAWS as f64;
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!(
                (mean - 0.5).abs() < 4.0 * (expected / DRAWS as f64).sqrt(),
                "{alpha}: {mean}"
            );
            assert!((variance / expected - 1.0).abs() < 0.1, "{alpha}: {variance}");
        }
    }

    #[test]
    fn weights_are_between_0_and_1_for_any_alpha() {
        for alpha in [0.001, 0.01, 1.0, 1000.0] {
            for seed in 0..500 {
                let weight = symmetric_beta(&mut generator(seed, Purpose::PAIR_MIX, &[]), alpha);
                assert!((0.0..=1.0).contains(&weight), "{alpha}: {weight}");
            }
        }
    }

    fn pairs(alpha: f32, p: f32) -> Mixing {
        Mixing {
            alpha,
            p,
            from_natural: false,
        }
    }

    fn natural(alpha: f32, p: f32) -> Mixing {
        Mixing {
            from_natural: true,
            ..pairs(alpha, p)
        }
    }

    fn mixes(method: BatchMix, size: u32) -> Vec<Option<Mix>> {
        (0..DRAWS)
            .map(|seed| method.draw_mix(&mut generator(seed, Purpose::PAIR_MIX, &[]), size))
            .collect()
    }

    #[test]
    fn an_image_keeps_the_larger_weight_under_mixup() {
        let found = mixes(BatchMix::Mixup(pairs(1.0, 0.75)), 64);
        let mixed: Vec<f64> = found.iter().flatten().map(|mix| mix.weight(64).into()).collect();
        let often = mixed.len() as f64 / DRAWS as f64;
        assert!((often - 0.75).abs() < 0.03, "{often}");
        assert!(mixed.iter().all(|weight| (0.0..=0.5).contains(weight)));
        let mean = mixed.iter().sum::<f64>() / mixed.len() as f64;
        assert!((mean - 0.25).abs() < 0.01, "{mean}");
    }

    #[test]
    fn rectangles_lie_within_the_image_and_are_square_unless_clipped() {
        for mix in mixes(BatchMix::Cutmix(pairs(1.0, 1.0)), 224)
            .into_iter()
            .flatten()
        {
            let Mix::Cutmix(found) = mix else {
                panic!("{mix:?}")
            };
            let (right, bottom) = (found.left + found.width, found.top + found.height);
            assert!(right <= 224 && bottom <= 224, "{found:?}");
            if found.left > 0 && found.top > 0 && right < 224 && bottom < 224 {
                assert_eq!(found.width, found.height, "{found:?} is not clipped");
            }
        }
        let whole = rectangle(1.0, 10, (5, 5));
        assert_eq!(Mix::Cutmix(whole).weight(10), 1.0);
        assert_eq!(
            rectangle(0.25, 100, (50, 0)),
            Rectangle {
                top: 0,
                left: 25,
                height: 25,
                width: 50
            }
        );
        assert_eq!(rectangle(1e-9, 100, (50, 50)).width, 0);
    }

    /// The mean of weights that are 0 for images that are not mixed.
    fn mean_of_draws(method: BatchMix, size: u32) -> f64 {
        let weights = mixes(method, size).into_iter().flatten();
        weights.map(|mix| f64::from(mix.weight(size))).sum::<f64>() / DRAWS as f64
    }

    #[test]
    fn mixup_from_natural_gives_the_balanced_image_a_weight_from_beta_alpha_1() {
        for alpha in [0.2, 1.0, 3.0_f32] {
            let found = mixes(BatchMix::Mixup(natural(alpha, 1.0)), 64);
            let weights: Vec<f64> = found.iter().flatten().map(|mix| mix.weight(64).into()).collect();
            for bound in [0.01, 0.1, 0.5, 0.9] {
                let below = weights.iter().filter(|weight| **weight < bound).count() as f64 / DRAWS as f64;
                let expected = bound.powf(alpha.into());
                assert!(
                    (below - expected).abs() < 0.03,
                    "{alpha}: {below} below {bound}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn the_mean_weight_from_natural_is_that_of_the_draws() {
        for (method, size) in [
            (BatchMix::Mixup(natural(0.2, 1.0)), 64),
            (BatchMix::Mixup(natural(2.0, 0.5)), 64),
            (BatchMix::Cutmix(natural(1.0, 1.0)), 224),
            (BatchMix::Cutmix(natural(0.2, 0.5)), 32),
            (BatchMix::Cutmix(natural(1000.0, 1.0)), 7),
            (BatchMix::Cutmix(natural(0.001, 1.0)), 5),
            (BatchMix::Cutmix(natural(1.0, 1.0)), 1),
        ] {
            let (mean, drawn) = (method.mean_weight(size), mean_of_draws(method, size));
            assert!(
                (mean - drawn).abs() < 0.02,
                "{method:?}: {mean}, and {drawn} of draws"
            );
        }
        // All weights are equally probable for alpha = 1, so that half a side of h has a probability of ((h + 1)^2 - h^2) / (s / 2)^2; and all
        // centres.
        for size in [8_u32, 64] {
            let side = |half: u32| {
                let clipped = |centre: u32| (centre + half).min(size) - centre.saturating_sub(half);
                f64::from((0..size).map(clipped).sum::<u32>()) / f64::from(size * size)
            };
            let probability = |half: u32| f64::from(2 * half + 1) / f64::from(size * size / 4);
            let exact: f64 = (0..size / 2)
                .map(|half| probability(half) * side(half).powi(2))
                .sum();
            assert!(
                (mean_area(1.0, size) - exact).abs() < 2e-3,
                "{size}: {} for {exact}",
                mean_area(1.0, size)
            );
        }
    }

    #[test]
    fn mixup_or_cutmix_is_drawn_if_a_recipe_has_both() {
        let on = pairs(1.0, 1.0);
        let draw = |mixup, cutmix| {
            let draw = |seed| BatchMix::draw(mixup, cutmix, &mut generator(seed, Purpose::BATCH_MIX, &[]));
            (0..1000).map(draw).collect::<Vec<_>>()
        };
        assert!(draw(Mixing::OFF, Mixing::OFF).iter().all(Option::is_none));
        assert!(
            draw(on, Mixing::OFF)
                .iter()
                .all(|found| *found == Some(BatchMix::Mixup(on)))
        );
        assert!(
            draw(Mixing::OFF, on)
                .iter()
                .all(|found| *found == Some(BatchMix::Cutmix(on)))
        );
        let both = draw(on, on);
        let mixup = both
            .iter()
            .filter(|found| **found == Some(BatchMix::Mixup(on)))
            .count();
        assert!((420..580).contains(&mixup), "{mixup} of 1000");
    }
}

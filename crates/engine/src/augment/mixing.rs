//! Mixup and cutmix of pairs of images of a batch.

use std::f64::consts::PI;

use rand_chacha::ChaCha8Rng;

use crate::mix::{Mix, Rectangle};
use crate::random::{below, uniform};

/// Distribution of the mixing weights of pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Mixing {
    /// Weights are distributed as Beta(alpha, alpha): near 0 and 1 for small alpha, uniform for 1, near 0.5 for large alpha.
    pub alpha: f32,
    /// Probability that a pair is mixed.
    pub p: f32,
}

/// How the pairs of a batch are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchMix {
    /// Weighted sums of all pixels.
    Mixup(Mixing),
    /// Exchanged rectangles.
    Cutmix(Mixing),
}

impl Mixing {
    /// Disabled.
    pub const OFF: Self = Self { alpha: 1.0, p: 0.0 };

    pub(super) fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }
}

impl BatchMix {
    /// Chooses mixup or cutmix for a batch, each with probability 0.5 if a recipe has both; `None` if it has neither.
    pub(super) fn draw(mixup: Mixing, cutmix: Mixing, generator: &mut ChaCha8Rng) -> Option<Self> {
        match (mixup.p > 0.0, cutmix.p > 0.0) {
            (false, false) => None,
            (true, false) => Some(Self::Mixup(mixup)),
            (false, true) => Some(Self::Cutmix(cutmix)),
            (true, true) => Some(if below(generator, 2) == 0 {
                Self::Mixup(mixup)
            } else {
                Self::Cutmix(cutmix)
            }),
        }
    }

    /// Draws how the two images of a pair, `size` by `size` pixels, are mixed; `None` if they are not.
    ///
    /// # Source
    ///
    /// Mixup: Zhang et al., 2018, with fastai's rule that an image keeps the larger weight. Cutmix: Yun et al., 2019, as in torchvision's
    /// `CutMix`: a square with a uniform centre, clipped at the border, whose clipped area is the weight. Unlike both, each pair of a batch
    /// has its own weight.
    #[must_use]
    pub fn draw_mix(self, generator: &mut ChaCha8Rng, size: u32) -> Option<Mix> {
        let (Self::Mixup(mixing) | Self::Cutmix(mixing)) = self;
        let is_mixed = uniform(generator, 0.0, 1.0) < f64::from(mixing.p);
        let weight = symmetric_beta(generator, mixing.alpha.into());
        let mix = match self {
            Self::Mixup(_) => mixup(weight.min(1.0 - weight)),
            Self::Cutmix(_) => {
                let centre = (below(generator, size), below(generator, size));
                Mix::Cutmix(rectangle(weight, size, centre))
            }
        };
        is_mixed.then_some(mix)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to half of WHOLE"
)]
fn mixup(weight: f64) -> Mix {
    Mix::Mixup((weight * f64::from(Mix::WHOLE)).round() as u16)
}

/// A square around `centre` (column, row) with a fraction `weight` of the area of an image of `size` by `size` pixels, clipped to the
/// image.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most half a side of the image"
)]
fn rectangle(weight: f64, size: u32, centre: (u32, u32)) -> Rectangle {
    let half = (0.5 * weight.sqrt() * f64::from(size)) as u32;
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

    fn mixes(method: BatchMix, size: u32) -> Vec<Option<Mix>> {
        (0..DRAWS)
            .map(|seed| method.draw_mix(&mut generator(seed, Purpose::PAIR_MIX, &[]), size))
            .collect()
    }

    #[test]
    fn an_image_keeps_the_larger_weight_under_mixup() {
        let found = mixes(BatchMix::Mixup(Mixing { alpha: 1.0, p: 0.75 }), 64);
        let mixed: Vec<f64> = found.iter().flatten().map(|mix| mix.weight(64).into()).collect();
        let often = mixed.len() as f64 / DRAWS as f64;
        assert!((often - 0.75).abs() < 0.03, "{often}");
        assert!(mixed.iter().all(|weight| (0.0..=0.5).contains(weight)));
        let mean = mixed.iter().sum::<f64>() / mixed.len() as f64;
        assert!((mean - 0.25).abs() < 0.01, "{mean}");
    }

    #[test]
    fn rectangles_lie_within_the_image_and_are_square_unless_clipped() {
        for mix in mixes(BatchMix::Cutmix(Mixing { alpha: 1.0, p: 1.0 }), 224)
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

    #[test]
    fn mixup_or_cutmix_is_drawn_if_a_recipe_has_both() {
        let on = Mixing { alpha: 1.0, p: 1.0 };
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

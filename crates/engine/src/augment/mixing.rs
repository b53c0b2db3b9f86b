//! Mixing of images in pairs: mixup and cutmix.

use std::f64::consts::PI;

use rand_chacha::ChaCha8Rng;

use crate::mix::{Mix, Rectangle};
use crate::random::{below, uniform};

/// How strongly the images of a pair are mixed, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Mixing {
    /// Shares are distributed as Beta(alpha, alpha): near 0 and 1 where it is small, uniformly at 1, near a half where it is large.
    pub alpha: f32,
    /// Probability, of a pair.
    pub p: f32,
}

/// What the pairs of a batch are mixed by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchMix {
    /// Everywhere, by a share.
    Mixup(Mixing),
    /// Within a rectangle, whole.
    Cutmix(Mixing),
}

impl Mixing {
    /// Never.
    pub const OFF: Self = Self { alpha: 1.0, p: 0.0 };

    pub(super) fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }
}

impl BatchMix {
    /// One of the two, where a recipe has both: drawn for a batch.
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

    /// How the two images of a pair, `size` by `size` pixels, are mixed; `None` where they are left alone.
    ///
    /// # Source
    ///
    /// Mixup: Zhang et al., 2018, with fastai's rule that an image keeps the larger share of itself. Cutmix: Yun et al., 2019, as
    /// torchvision's `CutMix` does it: a rectangle of the square's shape about a uniform centre, cut off at the border, whose area then is
    /// the share. Both give one share to a whole batch, or each image a partner of its own; here each pair has its own share.
    #[must_use]
    pub fn draw_mix(self, generator: &mut ChaCha8Rng, size: u32) -> Option<Mix> {
        let (Self::Mixup(mixing) | Self::Cutmix(mixing)) = self;
        let is_mixed = uniform(generator, 0.0, 1.0) < f64::from(mixing.p);
        let share = symmetric_beta(generator, mixing.alpha.into());
        let blend = match self {
            Self::Mixup(_) => everywhere(share.min(1.0 - share)),
            Self::Cutmix(_) => {
                let centre = (below(generator, size), below(generator, size));
                Mix::Cutmix(rectangle(share, size, centre))
            }
        };
        is_mixed.then_some(blend)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to half of WHOLE"
)]
fn everywhere(share: f64) -> Mix {
    Mix::Mixup((share * f64::from(Mix::WHOLE)).round() as u16)
}

/// The part within a square of `size` pixels of a rectangle about `centre` (column, row) that takes `share` of its area.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "half a side of the square at most"
)]
fn rectangle(share: f64, size: u32, centre: (u32, u32)) -> Rectangle {
    let half = (0.5 * share.sqrt() * f64::from(size)) as u32;
    let within = |centre: u32| (centre.saturating_sub(half), (centre + half).min(size));
    let ((left, right), (top, bottom)) = (within(centre.0), within(centre.1));
    Rectangle {
        top,
        left,
        height: bottom - top,
        width: right - left,
    }
}

/// A number distributed as Beta(alpha, alpha), from two uniform ones, whatever `alpha` is.
///
/// # Source
///
/// Devroye, *Random variate generation in one line of code*, 1996: with Bailey's polar method for Student's distribution,
/// `1/2 + z / (2 sqrt(1 + z^2))` for `z = sqrt(u^(-1/alpha) - 1) cos(2 pi v)`. Written so that nothing overflows where alpha is small.
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

    /// Greatest distance between a distribution function and that of sorted draws.
    fn distance(draws: &[f64], distribution: impl Fn(f64) -> f64) -> f64 {
        let count = draws.len() as f64;
        let at = |(index, &draw): (usize, &f64)| (distribution(draw) - (index as f64 + 0.5) / count).abs();
        draws.iter().enumerate().map(at).fold(0.0, f64::max)
    }

    #[test]
    fn shares_are_distributed_as_beta() {
        // Kolmogorov's bound for one in ten thousand.
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
    fn no_alpha_gives_anything_but_a_share() {
        for alpha in [0.001, 0.01, 1.0, 1000.0] {
            for seed in 0..500 {
                let share = symmetric_beta(&mut generator(seed, Purpose::PAIR_MIX, &[]), alpha);
                assert!((0.0..=1.0).contains(&share), "{alpha}: {share}");
            }
        }
    }

    fn blends(method: BatchMix, size: u32) -> Vec<Option<Mix>> {
        (0..DRAWS)
            .map(|seed| method.draw_mix(&mut generator(seed, Purpose::PAIR_MIX, &[]), size))
            .collect()
    }

    #[test]
    fn an_image_keeps_the_larger_share_of_itself_under_mixup() {
        let found = blends(BatchMix::Mixup(Mixing { alpha: 1.0, p: 0.75 }), 64);
        let mixed: Vec<f64> = found
            .iter()
            .flatten()
            .map(|blend| blend.weight(64).into())
            .collect();
        let often = mixed.len() as f64 / DRAWS as f64;
        assert!((often - 0.75).abs() < 0.03, "{often}");
        assert!(mixed.iter().all(|weight| (0.0..=0.5).contains(weight)));
        let mean = mixed.iter().sum::<f64>() / mixed.len() as f64;
        assert!((mean - 0.25).abs() < 0.01, "{mean}");
    }

    #[test]
    fn rectangles_lie_within_the_square_and_have_the_shape_of_it() {
        for blend in blends(BatchMix::Cutmix(Mixing { alpha: 1.0, p: 1.0 }), 224)
            .into_iter()
            .flatten()
        {
            let Mix::Cutmix(found) = blend else {
                panic!("{blend:?}")
            };
            let (right, bottom) = (found.left + found.width, found.top + found.height);
            assert!(right <= 224 && bottom <= 224, "{found:?}");
            if found.left > 0 && found.top > 0 && right < 224 && bottom < 224 {
                assert_eq!(found.width, found.height, "{found:?} is not cut off");
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
    fn one_method_is_drawn_where_there_are_two() {
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

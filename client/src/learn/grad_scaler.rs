//! How far the loss is scaled up where gradients are in half precision.

use serde::{Deserialize, Serialize};

/// What the loss is multiplied with before gradients are taken, so that few of them are too small for half precision; and how that moves.
///
/// It begins at 65536. Where a gradient is not finite, the step is not taken, and the factor is halved; behind 2000 steps in a row that
/// were taken, it is doubled. A factor is a power of two, from 2⁻¹⁴ to 2¹²⁶, so that multiplying and dividing by it rounds nothing.
///
/// # Source
///
/// PyTorch's `GradScaler`, which knows no least factor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradScaler {
    factor: f32,
    /// Steps taken since the factor moved.
    streak: u32,
}

impl Default for GradScaler {
    fn default() -> Self {
        Self {
            factor: 65_536.0,
            streak: 0,
        }
    }
}

impl GradScaler {
    /// Steps in a row behind which the factor is doubled.
    const GROWTH_INTERVAL: u32 = 2000;
    const MIN: f32 = 1.0 / 16_384.0;
    /// The largest power of two whose reciprocal has all of its bits.
    const MAX: f32 = 8.507_059e37;

    /// What the loss is multiplied with.
    #[must_use]
    pub fn factor(&self) -> f32 {
        self.factor
    }

    /// Whether the factor cannot be less.
    #[must_use]
    pub fn is_at_minimum(&self) -> bool {
        self.factor <= Self::MIN
    }

    /// Takes in whether all gradients of a step were finite.
    pub fn update(&mut self, is_finite: bool) {
        if !is_finite {
            *self = Self {
                factor: (self.factor / 2.0).max(Self::MIN),
                streak: 0,
            };
            return;
        }
        self.streak += 1;
        if self.streak == Self::GROWTH_INTERVAL {
            *self = Self {
                factor: (self.factor * 2.0).min(Self::MAX),
                streak: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: impl IntoIterator<Item = bool>) -> GradScaler {
        let mut scale = GradScaler::default();
        steps.into_iter().for_each(|is_finite| scale.update(is_finite));
        scale
    }

    fn good(steps: usize) -> impl Iterator<Item = bool> {
        std::iter::repeat_n(true, steps)
    }

    #[test]
    fn two_thousand_good_steps_in_a_row_double_it_and_one_bad_step_halves_it() {
        assert_eq!(after([]).factor(), 65_536.0);
        assert_eq!(after(good(1999)).factor(), 65_536.0);
        assert_eq!(after(good(2000)).factor(), 131_072.0);
        assert_eq!(after(good(3999)).factor(), 131_072.0);
        assert_eq!(after(good(4000)).factor(), 262_144.0);
        assert_eq!(after([false]).factor(), 32_768.0);
        assert_eq!(after([false, false, true]).factor(), 16_384.0);
        // A bad step starts the count anew.
        assert_eq!(
            after(good(1999).chain([false]).chain(good(1999))).factor(),
            32_768.0
        );
        assert_eq!(
            after(good(1999).chain([false]).chain(good(2000))).factor(),
            65_536.0
        );
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let least = after(std::iter::repeat_n(false, 30));
        assert!(least.is_at_minimum());
        assert_eq!(least.factor(), 2.0_f32.powi(-14));
        assert!(!after(std::iter::repeat_n(false, 29)).is_at_minimum());
        assert_eq!(after(std::iter::repeat_n(false, 40)), least);
        let largest = after(good(2000 * 111));
        assert_eq!(largest.factor(), 2.0_f32.powi(126));
        assert!((1.0 / largest.factor()).is_normal());
    }
}

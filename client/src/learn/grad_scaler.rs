//! Dynamic loss scaling for gradients in half precision.

use serde::{Deserialize, Serialize};

/// Dynamic loss scale: the factor by which the loss is multiplied before differentiation, so that few gradients underflow in half
/// precision.
///
/// It starts at 65536. If a gradient is not finite, the step is skipped and the factor is halved; after 2000 consecutive steps without
/// overflow it is doubled. The factor is a power of two from 2⁻¹⁴ to 2¹²⁶, so scaling and unscaling are exact.
///
/// # Source
///
/// PyTorch's `GradScaler`, which has no minimum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradScaler {
    factor: f32,
    /// Consecutive finite steps since the last change of the factor.
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
    /// Consecutive finite steps after which the factor is doubled.
    const GROWTH_INTERVAL: u32 = 2000;
    const MIN: f32 = 1.0 / 16_384.0;
    /// 2¹²⁶: the largest power of two whose reciprocal is a normal number.
    const MAX: f32 = 8.507_059e37;

    /// The loss scale.
    #[must_use]
    pub fn factor(&self) -> f32 {
        self.factor
    }

    /// Whether the factor is at its minimum, 2⁻¹⁴.
    #[must_use]
    pub fn is_at_minimum(&self) -> bool {
        self.factor <= Self::MIN
    }

    /// Updates the factor after a step; `is_finite`: whether all its gradients were finite.
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
    fn two_thousand_finite_steps_double_the_scale_and_an_overflow_halves_it() {
        assert_eq!(after([]).factor(), 65_536.0);
        assert_eq!(after(good(1999)).factor(), 65_536.0);
        assert_eq!(after(good(2000)).factor(), 131_072.0);
        assert_eq!(after(good(3999)).factor(), 131_072.0);
        assert_eq!(after(good(4000)).factor(), 262_144.0);
        assert_eq!(after([false]).factor(), 32_768.0);
        assert_eq!(after([false, false, true]).factor(), 16_384.0);
        // An overflow resets the count.
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
    fn the_scale_stays_within_its_bounds() {
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

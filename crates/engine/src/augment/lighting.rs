//! Draws of brightness and contrast.

use rand::Rng;

use crate::random::uniform;

/// Draws a brightness, uniform about 0.5, the identity.
#[allow(
    clippy::cast_possible_truncation,
    reason = "`Lighting` holds single precision"
)]
pub(super) fn draw_brightness(generator: &mut impl Rng, max_lighting: f64) -> f32 {
    uniform(generator, 0.5 * (1.0 - max_lighting), 0.5 * (1.0 + max_lighting)) as f32
}

/// Draws a contrast, log-uniform about 1, the identity.
#[allow(
    clippy::cast_possible_truncation,
    reason = "`Lighting` holds single precision"
)]
pub(super) fn draw_contrast(generator: &mut impl Rng, max_lighting: f64) -> f32 {
    let limit = libm::log(1.0 - max_lighting);
    libm::exp(uniform(generator, limit, -limit)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    #[test]
    fn lighting_stays_in_range_and_is_centred() {
        let mut generator = generator(5, Purpose::AUGMENT, &[]);
        let draws: Vec<(f32, f32)> = (0..4000)
            .map(|_| {
                (
                    draw_brightness(&mut generator, 0.2),
                    draw_contrast(&mut generator, 0.2),
                )
            })
            .collect();
        assert!(
            draws
                .iter()
                .all(|(b, c)| (0.4..=0.6).contains(b) && (0.8..=1.25).contains(c))
        );
        let mean = draws.iter().map(|(b, _)| f64::from(*b)).sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.005, "mean brightness {mean}");
        let below_one = draws.iter().filter(|(_, c)| *c < 1.0).count();
        assert!(
            (1850..2150).contains(&below_one),
            "log-uniform: half of the contrasts are below 1, not {below_one}"
        );
    }
}

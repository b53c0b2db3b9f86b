//! Random numbers for drawing.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

/// Random generator of one image. Distributions are implemented here, so that a new version of a library cannot change the data set.
#[derive(Debug)]
pub(super) struct DrawRng(ChaCha8Rng);

impl DrawRng {
    /// Wraps `generator`.
    pub(super) fn new(generator: ChaCha8Rng) -> Self {
        Self(generator)
    }

    /// 32 random bits.
    pub(super) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `[low, high)`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Triangular distribution on `(-size, size)` with mode 0.
    pub(super) fn wobble(&mut self, size: f32) -> f32 {
        (self.unit() - self.unit()) * size
    }

    /// Bernoulli draw: true with `probability`.
    pub(super) fn bernoulli(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// -1 or 1, with equal probability.
    pub(super) fn sign(&mut self) -> f32 {
        if self.bernoulli(0.5) { 1.0 } else { -1.0 }
    }

    /// Uniform in `low..=high`.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        let span = (high - low + 1) as u64;
        low + ((u64::from(self.bits()) * span) >> 32) as usize
    }

    /// Uniform choice from `choices`, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.count(0, choices.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use equibatch_engine::random::{Purpose, generator};

    #[test]
    fn counts_reach_both_ends_and_nothing_outside() {
        let mut rng = DrawRng::new(generator(1, Purpose::DRAWING, &[]));
        let seen: std::collections::BTreeSet<_> = (0..500).map(|_| rng.count(3, 7)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    }

    #[test]
    fn numbers_stay_in_their_ranges() {
        let mut rng = DrawRng::new(generator(2, Purpose::DRAWING, &[]));
        for _ in 0..1000 {
            assert!((-2.0..5.0).contains(&rng.between(-2.0, 5.0)));
            assert!(rng.wobble(0.5).abs() < 0.5);
        }
    }
}

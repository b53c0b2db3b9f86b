//! Counter-based random numbers: seed, purpose and coordinates determine the numbers, independent of the order of calls.
//!
//! A generator is keyed by a hash of all of them. With a sum (`seed + epoch`), neighbouring seeds would give shifted copies of one
//! sequence.

use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What random numbers are used for. Different purposes give independent numbers at equal coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose(u64);

impl Purpose {
    /// Which samples are held out for validation.
    pub const SPLIT: Self = Self(1);
    /// The order in which classes get the remainder slots of an epoch's batches.
    pub const CLASS_ORDER: Self = Self(2);
    /// The step of an epoch at which the remainder slots begin.
    pub const STEP_OFFSET: Self = Self(3);
    /// The order of a class's samples in one full cycle.
    pub const CYCLE: Self = Self(4);
    /// Which samples of a class are used once more than the others in an epoch.
    pub const PARTIAL_CYCLE: Self = Self(5);
    /// The order of these samples.
    pub const PARTIAL_ORDER: Self = Self(6);
    /// The order of samples within a batch.
    pub const SLOTS: Self = Self(7);
    /// The augmentation of one sample.
    pub const AUGMENT: Self = Self(8);
    /// Which sample replaces a broken one.
    pub const REPLACEMENT: Self = Self(9);
    /// Synthetic images: sample data sets, benchmarks, tests.
    pub const DRAWING: Self = Self(10);
    /// Whether the images of a batch are mixed by mixup or by cutmix.
    pub const BATCH_MIX: Self = Self(13);
    /// Which images of a batch are mixed with one another.
    pub const PAIRS: Self = Self(14);
    /// The parameters with which the two images of a pair are mixed.
    pub const PAIR_MIX: Self = Self(15);

    /// The seed of the plan of the images that others are mixed into.
    pub const BACKGROUND: Self = Self(16);

    /// A purpose of another crate. 1 to 16 are in use; 11 and 12 by the training client.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A 32-byte key derived from all arguments (BLAKE3 in key derivation mode).
#[must_use]
pub fn key(seed: u64, purpose: Purpose, coordinates: &[u64]) -> [u8; 32] {
    // Otherwise a hash of its own for each key.
    static CONTEXT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("equibatch 1 random"));
    let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
    hasher.update(&seed.to_le_bytes());
    hasher.update(&purpose.0.to_le_bytes());
    for coordinate in coordinates {
        hasher.update(&coordinate.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// A ChaCha8 generator keyed by all arguments.
#[must_use]
pub fn generator(seed: u64, purpose: Purpose, coordinates: &[u64]) -> ChaCha8Rng {
    from_key(&key(seed, purpose, coordinates))
}

/// A ChaCha8 generator from a key.
#[must_use]
pub fn from_key(key: &[u8; 32]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(*key)
}

/// An independent generator keyed by 32 bytes of `generator`, which advances by the same amount however many numbers the fork gives.
#[must_use]
pub fn fork(generator: &mut impl Rng) -> ChaCha8Rng {
    let mut key = [0; 32];
    generator.fill_bytes(&mut key);
    from_key(&key)
}

/// An integer drawn uniformly from `0..bound`. Implemented here so that another release of `rand` cannot change the results.
///
/// # Panics
///
/// If `bound` is 0.
///
/// # Source
///
/// Lemire, *Fast Random Integer Generation in an Interval*, 2019: the high half of a product, with rejection of the values that would bias
/// the result.
pub fn below(generator: &mut ChaCha8Rng, bound: u32) -> u32 {
    assert!(bound > 0, "bound must be positive");
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}

/// A number drawn uniformly from `[low, high)`, or `low` if the two are equal. Takes 8 bytes from `generator`.
#[must_use]
pub fn uniform(generator: &mut impl Rng, low: f64, high: f64) -> f64 {
    // 53 bits, the precision of f64. Implemented here so that another release of `rand` cannot change the results.
    let unit = (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    low + (high - low) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_numbers_cover_their_range() {
        let mut generator = generator(1, Purpose::AUGMENT, &[]);
        let numbers: Vec<f64> = (0..4000).map(|_| uniform(&mut generator, -2.0, 6.0)).collect();
        assert!(numbers.iter().all(|x| (-2.0..6.0).contains(x)));
        let mean = numbers.iter().sum::<f64>() / 4000.0;
        assert!((mean - 2.0).abs() < 0.2, "mean {mean}");
        assert!(numbers.iter().any(|&x| x < -1.9) && numbers.iter().any(|&x| x > 5.9));
    }

    #[test]
    fn every_argument_changes_the_key() {
        let base = key(1, Purpose::CYCLE, &[2, 3]);
        assert_eq!(base, key(1, Purpose::CYCLE, &[2, 3]));
        for other in [
            key(2, Purpose::CYCLE, &[2, 3]),
            key(1, Purpose::SLOTS, &[2, 3]),
            key(1, Purpose::CYCLE, &[3, 2]),
            key(1, Purpose::CYCLE, &[2]),
            key(1, Purpose::CYCLE, &[2, 3, 0]),
        ] {
            assert_ne!(base, other);
        }
    }
}

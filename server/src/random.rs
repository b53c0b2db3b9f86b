//! Randomness as a function: the same seed, purpose and coordinates give the same numbers, whoever asks and in whatever order.
//!
//! A generator is keyed by a *hash* of all of these. Adding them up (`seed + epoch`) would make neighbouring seeds shifted copies of
//! one another.

use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What the numbers are for. Two purposes never share numbers, even at equal coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Which samples are held out for validation.
    Split = 1,
    /// In which order classes share out the extra seats of an epoch's batches.
    ClassOrder = 2,
    /// At which step of an epoch those seats begin.
    StepOffset = 3,
    /// The order of a class's samples in one full cycle.
    Cycle = 4,
    /// Which samples of a class an epoch uses once more than the others.
    PartialCycle = 5,
    /// The order of those samples.
    PartialOrder = 6,
    /// The order of samples within a batch.
    Slots = 7,
    /// The augmentation of one sample.
    Augment = 8,
    /// Which sample replaces a broken one.
    Replacement = 9,
    /// Drawing of the sample data set.
    Drawing = 10,
    /// The parameters that training starts from.
    Initial = 11,
    /// Which features a training step drops.
    Dropout = 12,
    /// By which method the images of a batch are mixed.
    Mixing = 13,
    /// Which images of a batch are mixed with one another.
    Pairs = 14,
    /// How the two images of a pair are mixed.
    Blend = 15,
}

/// 32 bytes that depend on every argument.
#[must_use]
pub fn key(seed: u64, purpose: Purpose, coordinates: &[u64]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("equibatch 1 random");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose as u64).to_le_bytes());
    for coordinate in coordinates {
        hasher.update(&coordinate.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// A generator of a fixed algorithm (ChaCha with 8 rounds), keyed by every argument.
#[must_use]
pub fn generator(seed: u64, purpose: Purpose, coordinates: &[u64]) -> ChaCha8Rng {
    from_key(&key(seed, purpose, coordinates))
}

/// A generator of the same algorithm from a key.
#[must_use]
pub fn from_key(key: &[u8; 32]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(*key)
}

/// A generator of its own for one use of many numbers, however many: takes 32 bytes from `generator`.
#[must_use]
pub fn fork(generator: &mut impl Rng) -> ChaCha8Rng {
    let mut key = [0; 32];
    generator.fill_bytes(&mut key);
    from_key(&key)
}

/// A whole number drawn uniformly from `0..bound`, in a way that no release of a library can change.
///
/// # Panics
///
/// Where `bound` is 0.
///
/// # Source
///
/// Lemire, *Fast Random Integer Generation in an Interval*, 2019: the high half of a product, with the few values rejected that would
/// favour some results.
pub fn below(generator: &mut ChaCha8Rng, bound: u32) -> u32 {
    assert!(bound > 0, "nothing is below 0");
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}

/// A number drawn uniformly from `[low, high)`, or `low` where the two are equal. Takes 8 bytes from `generator`.
#[must_use]
pub fn uniform(generator: &mut impl Rng, low: f64, high: f64) -> f64 {
    // 53 bits, the precision of the result: the arithmetic is ours, so that another release of the generator's crate cannot change it.
    let unit = (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    low + (high - low) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_numbers_fill_their_range() {
        let mut generator = generator(1, Purpose::Augment, &[]);
        let numbers: Vec<f64> = (0..4000).map(|_| uniform(&mut generator, -2.0, 6.0)).collect();
        assert!(numbers.iter().all(|x| (-2.0..6.0).contains(x)));
        let mean = numbers.iter().sum::<f64>() / 4000.0;
        assert!((mean - 2.0).abs() < 0.2, "mean {mean}");
        assert!(numbers.iter().any(|&x| x < -1.9) && numbers.iter().any(|&x| x > 5.9));
    }

    #[test]
    fn every_argument_changes_the_key() {
        let base = key(1, Purpose::Cycle, &[2, 3]);
        assert_eq!(base, key(1, Purpose::Cycle, &[2, 3]));
        for other in [
            key(2, Purpose::Cycle, &[2, 3]),
            key(1, Purpose::Slots, &[2, 3]),
            key(1, Purpose::Cycle, &[3, 2]),
            key(1, Purpose::Cycle, &[2]),
            key(1, Purpose::Cycle, &[2, 3, 0]),
        ] {
            assert_ne!(base, other);
        }
    }
}

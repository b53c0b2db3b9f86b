//! Randomness as a function of seed, purpose and coordinates.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// What the numbers are for. Two purposes never share numbers, even at equal coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The parameters that training starts from.
    Initial = 11,
    /// Which features a training step drops.
    Dropout = 12,
}

/// A generator of a fixed algorithm (ChaCha with 8 rounds), keyed by a hash of every argument.
pub(crate) fn generator(seed: u64, purpose: Purpose, coordinates: &[u64]) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("equibatch 1 random");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose as u64).to_le_bytes());
    for coordinate in coordinates {
        hasher.update(&coordinate.to_le_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

//! Random permutations, evaluated one index at a time.

use crate::random::{below, from_key};

/// A permutation of `0..len` selected by a key, evaluated one index at a time in constant time.
///
/// Up to [`Permutation::TABLE_LEN`] elements it is a table from a Fisher-Yates shuffle: every order is equally likely. Above, it is a balanced
/// Feistel network over the smallest even number of bits that holds `len`, with cycle walking. That is a bijection for any key, because each round
/// is one and so is following a cycle to its next member below `len`; at most four iterations are expected.
///
/// # Determinism
///
/// A pure function of key, length and index, in integer arithmetic only.
///
/// # Source
///
/// Fisher and Yates (table). Black and Rogaway, *Ciphers with Arbitrary Finite Domains*, 2002 (cycle walking); the round function is the
/// finaliser of SplitMix64; nothing here needs to be secret.
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Table(Box<[u8]>),
    Feistel { half_bits: u32, keys: [u64; ROUNDS] },
}

const ROUNDS: usize = 8;

impl Permutation {
    /// Length of the longest permutation that is stored as a table.
    pub const TABLE_LEN: u64 = 256;

    /// The permutation of `0..len` for `key`.
    ///
    /// # Panics
    ///
    /// If `len` is 0 or more than 2^62.
    #[must_use]
    pub fn new(len: u64, key: &[u8; 32]) -> Self {
        assert!(len > 0 && len <= 1 << 62, "a permutation of {len} elements");
        let form = if len <= Self::TABLE_LEN {
            table(len as usize, key)
        } else {
            feistel(len, key)
        };
        Self { len, form }
    }

    /// The image of `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not below the length.
    #[must_use]
    pub fn at(&self, index: u64) -> u64 {
        assert!(index < self.len, "index {index} of {}", self.len);
        match &self.form {
            Form::Table(table) => u64::from(table[index as usize]),
            Form::Feistel { half_bits, keys } => {
                let mut value = index;
                loop {
                    value = encipher(value, *half_bits, keys);
                    if value < self.len {
                        return value;
                    }
                }
            }
        }
    }
}

impl Permutation {
    /// The index whose image is `place`: the inverse of [`Permutation::at`].
    ///
    /// # Panics
    ///
    /// If `place` is not below the length.
    #[must_use]
    pub fn index_of(&self, place: u64) -> u64 {
        assert!(place < self.len, "place {place} of {}", self.len);
        match &self.form {
            Form::Table(table) => {
                let found = table.iter().position(|&to| u64::from(to) == place);
                found.expect("a permutation is onto") as u64
            }
            Form::Feistel { half_bits, keys } => {
                let mut value = place;
                loop {
                    value = decipher(value, *half_bits, keys);
                    if value < self.len {
                        return value;
                    }
                }
            }
        }
    }
}

fn table(len: usize, key: &[u8; 32]) -> Form {
    let mut generator = from_key(key);
    let mut table: Box<[u8]> = (0..len).map(|index| index as u8).collect();
    for last in (1..len).rev() {
        table.swap(last, below(&mut generator, last as u32 + 1) as usize);
    }
    Form::Table(table)
}

fn feistel(len: u64, key: &[u8; 32]) -> Form {
    let bits = u64::BITS - (len - 1).leading_zeros();
    let mut keys = [0; ROUNDS];
    for (round, slot) in keys.iter_mut().enumerate() {
        let part = &key[round % 4 * 8..][..8];
        let part = u64::from_le_bytes(part.try_into().expect("eight bytes"));
        *slot = mix(part.wrapping_add((round as u64 + 1).wrapping_mul(GOLDEN)));
    }
    Form::Feistel {
        half_bits: bits.div_ceil(2),
        keys,
    }
}

fn encipher(value: u64, half_bits: u32, keys: &[u64; ROUNDS]) -> u64 {
    let mask = (1 << half_bits) - 1;
    let (mut left, mut right) = (value >> half_bits, value & mask);
    for key in keys {
        (left, right) = (right, left ^ (mix(right ^ key) & mask));
    }
    left << half_bits | right
}

/// The inverse of [`encipher`].
fn decipher(value: u64, half_bits: u32, keys: &[u64; ROUNDS]) -> u64 {
    let mask = (1 << half_bits) - 1;
    let (mut left, mut right) = (value >> half_bits, value & mask);
    for key in keys.iter().rev() {
        (left, right) = (right ^ (mix(left ^ key) & mask), left);
    }
    left << half_bits | right
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;
    use crate::random::{Purpose, key};

    fn whole(len: u64, seed: u64) -> Vec<u64> {
        let permutation = Permutation::new(len, &key(seed, Purpose::CYCLE, &[]));
        (0..len).map(|index| permutation.at(index)).collect()
    }

    #[test]
    fn every_short_length_is_a_bijection() {
        for len in 1..=600 {
            let image: HashSet<u64> = whole(len, len).into_iter().collect();
            assert_eq!(image, (0..len).collect(), "length {len}");
        }
    }

    proptest! {
        #[test]
        fn index_of_is_the_inverse_of_at(len in prop_oneof![1_u64..600, 600_u64..1 << 40], seed: u64, index: prop::sample::Index) {
            let permutation = Permutation::new(len, &key(seed, Purpose::CYCLE, &[]));
            let index = index.index(len as usize) as u64;
            prop_assert_eq!(permutation.index_of(permutation.at(index)), index);
        }

        #[test]
        fn long_lengths_stay_in_range_and_do_not_collide(len in 1_000_u64..1 << 40, seed: u64, start in 0_u64..900) {
            let permutation = Permutation::new(len, &key(seed, Purpose::CYCLE, &[]));
            let values: HashSet<u64> = (start..start + 100).map(|index| permutation.at(index)).collect();
            prop_assert_eq!(values.len(), 100);
            prop_assert!(values.iter().all(|value| *value < len));
        }
    }

    #[test]
    fn all_orders_of_five_occur_about_equally_often() {
        let mut seen: HashMap<Vec<u64>, u32> = HashMap::new();
        const KEYS: u64 = 12_000;
        for seed in 0..KEYS {
            *seen.entry(whole(5, seed)).or_default() += 1;
        }
        assert_eq!(seen.len(), 120);
        // Chi-square with 119 degrees of freedom: mean 119, standard deviation 15.4.
        let expected = KEYS as f64 / 120.0;
        let chi_square: f64 = seen
            .values()
            .map(|&n| (f64::from(n) - expected).powi(2) / expected)
            .sum();
        assert!(chi_square < 119.0 + 5.0 * 15.4, "chi-square {chi_square}");
    }

    #[test]
    fn neighbours_are_unrelated() {
        // The mean distance of neighbours in a random order of n is (n + 1) / 3.
        let order = whole(10_000, 7);
        let distance: f64 = order
            .windows(2)
            .map(|pair| pair[0].abs_diff(pair[1]) as f64)
            .sum::<f64>()
            / 9_999.0;
        assert!((distance - 3_333.7).abs() < 100.0, "mean distance {distance}");
    }
}

//! Pairs of 64-bit hashes within a Hamming distance, by multi-index hashing.

use rayon::prelude::*;

const BANDS: u32 = 4;
const KEYS: usize = 1 << 16;

/// Sorted pairs of indices, the smaller first, of `hashes` within Hamming distance `distance`.
///
/// Each hash is cut into four bands of 16 bits. Two hashes at distance `d` differ in at most `d / 4` bits of at least one band, so only the
/// hashes within that radius of a band's key are compared.
///
/// # Source
///
/// Norouzi, Punjani, Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.
pub(super) fn pairs_within(hashes: &[u64], distance: u32) -> Vec<(u32, u32)> {
    let radius = distance / BANDS;
    let masks: Vec<u16> = (0..=u16::MAX)
        .filter(|mask| mask.count_ones() <= radius)
        .collect();
    let near_in = |band: u32, a: u64, b: u64| (key(a, band) ^ key(b, band)).count_ones() <= radius;
    let mut pairs: Vec<(u32, u32)> = (0..BANDS)
        .flat_map(|band| {
            let index = BandIndex::new(hashes, band);
            let partners = |at: u32| {
                let hash = hashes[at as usize];
                let candidates = masks
                    .iter()
                    .flat_map(|mask| index.with_key(key(hash, band) ^ mask));
                let is_new = |other: u64| !(0..band).any(|earlier| near_in(earlier, hash, other));
                let found = candidates.filter(|&&other| {
                    let other_hash = hashes[other as usize];
                    other > at && (hash ^ other_hash).count_ones() <= distance && is_new(other_hash)
                });
                found.map(|&other| (at, other)).collect::<Vec<_>>()
            };
            let all = 0..u32::try_from(hashes.len()).expect("sample ids have 32 bits");
            all.into_par_iter().flat_map_iter(partners).collect::<Vec<_>>()
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

fn key(hash: u64, band: u32) -> u16 {
    (hash >> (16 * band) & 0xFFFF) as u16
}

/// Inverted index of one band: the hashes of each 16-bit key.
struct BandIndex {
    /// Offset of the first member of each key, and the total at the end.
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl BandIndex {
    fn new(hashes: &[u64], band: u32) -> Self {
        let mut starts = vec![0; KEYS + 1];
        for &hash in hashes {
            starts[usize::from(key(hash, band)) + 1] += 1;
        }
        for key in 0..KEYS {
            starts[key + 1] += starts[key];
        }
        let mut next = starts.clone();
        let mut members = vec![0; hashes.len()];
        for (at, &hash) in (0..).zip(hashes) {
            let place = &mut next[usize::from(key(hash, band))];
            members[*place as usize] = at;
            *place += 1;
        }
        Self { starts, members }
    }

    fn with_key(&self, key: u16) -> &[u32] {
        let key = usize::from(key);
        &self.members[self.starts[key] as usize..self.starts[key + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn brute_force(hashes: &[u64], distance: u32) -> Vec<(u32, u32)> {
        let count = hashes.len() as u32;
        let all = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
        all.filter(|&(a, b)| (hashes[a as usize] ^ hashes[b as usize]).count_ones() <= distance)
            .collect()
    }

    proptest! {
        #[test]
        fn pairs_equal_those_of_brute_force(
            seeds in prop::collection::vec(any::<u64>(), 1..6),
            flips in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(0u32..64, 0..14)), 0..60),
            distance in 0u32..12,
        ) {
            // A few hashes, and many within a few bits of one of them: independent ones would hardly ever be close.
            let mut hashes = seeds.clone();
            for (seed, bits) in flips {
                hashes.push(bits.iter().fold(*seed.get(&seeds), |hash, bit| hash ^ 1 << bit));
            }
            prop_assert_eq!(pairs_within(&hashes, distance), brute_force(&hashes, distance));
        }
    }

    #[test]
    fn few_candidates_are_compared() {
        // 20,000 random hashes have 20,000 / 65,536 candidates each under their own key, and 17 times as many at distances from 4 to 7.
        let hash = |at: u64| {
            u64::from_le_bytes(
                blake3::hash(&at.to_le_bytes()).as_bytes()[..8]
                    .try_into()
                    .unwrap(),
            )
        };
        let hashes: Vec<u64> = (0..20_000).map(hash).collect();
        let index = BandIndex::new(&hashes, 0);
        let compared: usize = hashes
            .iter()
            .map(|&hash| index.with_key(key(hash, 0)).len())
            .sum();
        assert!(compared < 20_000 * 2, "{compared}");
    }
}

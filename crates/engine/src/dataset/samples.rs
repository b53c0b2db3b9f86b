use std::cmp::Ordering;
use std::ops::{Index, IndexMut};

use super::Sample;

/// Samples per allocation.
const CHUNK_LEN: usize = 4096;

/// A list of samples that grows without moving them: with millions of samples, a growing vector would need two or three times the memory, which the
/// allocator would keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// All but the last are full; the last is not empty.
    chunks: Vec<Vec<Sample>>,
}

impl Samples {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        let last = self.chunks.last().map_or(CHUNK_LEN, Vec::len);
        self.chunks.len() * CHUNK_LEN + last - CHUNK_LEN
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The sample at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Sample> {
        self.chunks.get(index / CHUNK_LEN)?.get(index % CHUNK_LEN)
    }

    /// All samples, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> + Clone {
        self.chunks.iter().flatten()
    }

    /// Bytes of memory, including paths.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        // Allocations are rounded up to words.
        let path = |sample: &Sample| sample.path.len().next_multiple_of(size_of::<usize>());
        let own: usize = self.chunks.iter().map(Vec::capacity).sum();
        (own * size_of::<Sample>() + self.iter().map(path).sum::<usize>()) as u64
    }

    pub(super) fn push(&mut self, sample: Sample) {
        match self.chunks.last_mut().filter(|last| last.len() < CHUNK_LEN) {
            Some(last) => last.push(sample),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(sample);
                self.chunks.push(chunk);
            }
        }
    }

    fn pop(&mut self) -> Option<Sample> {
        let last = self.chunks.last_mut()?;
        let sample = last.pop();
        if last.is_empty() {
            self.chunks.pop();
        }
        sample
    }

    pub(super) fn truncate(&mut self, len: usize) {
        while self.len() > len {
            self.pop();
        }
    }

    /// Removes the samples that are not kept; changes the order of the others.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Sample) -> bool) {
        for index in (0..self.len()).rev() {
            if !is_kept(&self[index]) {
                self.swap(index, self.len() - 1);
                self.pop();
            }
        }
    }

    /// All samples, in slices of at most `len`.
    pub(super) fn rows_mut(&mut self, len: usize) -> impl Iterator<Item = &mut [Sample]> {
        self.chunks
            .iter_mut()
            .flat_map(move |chunk| chunk.chunks_mut(len))
    }

    /// Sorts the samples, of which no two may be equal.
    ///
    /// # Panics
    ///
    /// If there are 2^32 or more.
    pub(super) fn sort_by(&mut self, compare: impl Fn(&Sample, &Sample) -> Ordering) {
        let len = u32::try_from(self.len()).expect("fewer than 2^32 samples");
        // For each index, that of the sample that goes there.
        let mut order: Vec<u32> = (0..len).collect();
        order.sort_unstable_by(|&a, &b| compare(&self[a as usize], &self[b as usize]));
        for first in 0..order.len() {
            // Moves each sample of a cycle of the permutation.
            let mut place = first;
            loop {
                let from = std::mem::replace(&mut order[place], place as u32) as usize;
                if from == first {
                    break;
                }
                self.swap(place, from);
                place = from;
            }
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        let [one_chunk, other_chunk] = [one, other].map(|index| index / CHUNK_LEN);
        let [one, other] = [one, other].map(|index| index % CHUNK_LEN);
        if one_chunk == other_chunk {
            self.chunks[one_chunk].swap(one, other);
        } else if let Ok([a, b]) = self.chunks.get_disjoint_mut([one_chunk, other_chunk]) {
            std::mem::swap(&mut a[one], &mut b[other]);
        }
    }
}

impl Index<usize> for Samples {
    type Output = Sample;

    fn index(&self, index: usize) -> &Sample {
        &self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }
}

impl IndexMut<usize> for Samples {
    fn index_mut(&mut self, index: usize) -> &mut Sample {
        &mut self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }
}

impl FromIterator<Sample> for Samples {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        let mut list = Self::default();
        samples.into_iter().for_each(|sample| list.push(sample));
        list
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;
    use crate::dataset::Split;

    fn sample(number: u32) -> Sample {
        Sample {
            path: format!("a/{number:06}.png").into(),
            class: 0,
            split: Split::Train,
            bytes: 1,
            modified: SystemTime::UNIX_EPOCH,
            width: number,
            height: 1,
        }
    }

    fn numbers(samples: &Samples) -> Vec<u32> {
        samples.iter().map(|sample| sample.width).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_behaves_like_a_vector(
            numbers_in in Just((0..9000).collect::<Vec<u32>>()).prop_shuffle(), len in 0_usize..9000, divisor in 2_u32..9,
        ) {
            let mut vector = numbers_in[..len].to_vec();
            let mut list: Samples = vector.iter().map(|&number| sample(number)).collect();
            prop_assert_eq!(numbers(&list), &*vector);
            vector.retain(|number| number % divisor != 0);
            list.retain(|sample| sample.width % divisor != 0);
            vector.sort_unstable();
            list.sort_by(|a, b| a.path.cmp(&b.path));
            prop_assert_eq!(numbers(&list), &*vector);
            vector.truncate(len / 2);
            list.truncate(len / 2);
            prop_assert_eq!((numbers(&list), list.len(), list.is_empty()), (vector.clone(), vector.len(), vector.is_empty()));
            prop_assert_eq!(vector.len().checked_sub(1).map(|last| list[last].width), vector.last().copied());
            prop_assert!(list.get(vector.len()).is_none());
        }
    }
}

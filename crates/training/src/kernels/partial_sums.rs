//! Two sums per channel, accumulated per task and then reduced.

use super::unsafe_slice::UnsafeSlice;
use super::vector::{LANES, Vector};

/// Floats per task and block: two sums, a shift, and the number of shifted vectors.
const TOTAL: usize = 4 * LANES;

/// Sums of one task over one block.
#[derive(Clone, Copy)]
pub(super) struct PartialSums<V> {
    /// Two sums per channel.
    pub(super) sums: [V; 2],
    /// If the sums are those of differences from a shift: the shift, and the number of vectors summed.
    pub(super) shift: Option<(V, usize)>,
}

/// Partial sums of all tasks and blocks.
#[derive(Clone, Copy)]
pub(super) struct PartialSumTable<'a> {
    sums: UnsafeSlice<'a>,
    blocks: usize,
}

impl<'a> PartialSumTable<'a> {
    /// Number of floats for `rows` tasks of `blocks` blocks each.
    pub(super) fn length(rows: usize, blocks: usize) -> usize {
        rows * blocks * TOTAL
    }

    pub(super) fn new(sums: UnsafeSlice<'a>, blocks: usize) -> Self {
        Self { sums, blocks }
    }

    /// Stores the partial sums of one row and block, unless there is no room for any.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, `row` and `block` are below those passed to [`PartialSumTable::length`], and no other task
    /// writes this pair.
    #[inline(always)]
    pub(super) unsafe fn put<V: Vector>(&self, row: usize, block: usize, total: PartialSums<V>) {
        if self.sums.is_empty() {
            return;
        }
        // SAFETY: the caller guarantees that row and block are below those that `PartialSumTable::length` was asked for, so that the total's four
        // vectors lie within the sums, that no other task writes them, and that the CPU supports the instruction set of `V`.
        unsafe {
            let (shift, count) = total.shift.unwrap_or((V::splat(0.0), 0));
            let to = self.sums.at((row * self.blocks + block) * TOTAL);
            let vectors = [total.sums[0], total.sums[1], shift, V::splat(count as f32)];
            for (place, vector) in vectors.into_iter().enumerate() {
                vector.store(to.add(place * LANES));
            }
        }
    }
}

/// Sums per channel over all rows, in the order of the rows and in double precision. With `d = x − s` for all n values x of a row,
/// `Σ x = Σ d + n·s` and `Σ x² = Σ d² + s·(2·Σ d + n·s)`: in double precision the variance is not lost to cancellation.
pub(super) fn reduce(sums: &[f32], blocks: usize) -> Vec<[f64; 2]> {
    let mut channels = vec![[0.0; 2]; blocks * LANES];
    for row in sums.chunks_exact(blocks * TOTAL) {
        for (channels, total) in channels.chunks_exact_mut(LANES).zip(row.chunks_exact(TOTAL)) {
            for (lane, channel) in channels.iter_mut().enumerate() {
                let [first, second, shift, count] =
                    std::array::from_fn(|place| f64::from(total[place * LANES + lane]));
                channel[0] += first + count * shift;
                channel[1] += second + shift * (2.0 * first + count * shift);
            }
        }
    }
    channels
}

//! Two sums per channel, gathered task by task.

use super::shared::Shared;
use super::vector::{LANES, Vector};

/// Floats that a task's totals of one block take.
const PAIR: usize = 2 * LANES;

/// The totals of all tasks: for each task and block, two vectors.
#[derive(Clone, Copy)]
pub(super) struct Totals<'a> {
    sums: Shared<'a>,
    blocks: usize,
}

impl<'a> Totals<'a> {
    /// How many floats `rows` tasks need that see `blocks` blocks each.
    pub(super) fn length(rows: usize, blocks: usize) -> usize {
        rows * blocks * PAIR
    }

    pub(super) fn new(sums: Shared<'a>, blocks: usize) -> Self {
        Self { sums, blocks }
    }

    /// Keeps the totals of one row and block.
    ///
    /// # Safety
    /// `row` and `block` are below those that the sums have room for, and no other task writes this pair.
    #[inline(always)]
    pub(super) unsafe fn put<V: Vector>(&self, row: usize, block: usize, totals: [V; 2]) {
        // SAFETY: the caller guarantees that row and block are below those that `Totals::length` was asked for, so that the pair's two
        // vectors lie within the sums, and that no other task writes them.
        unsafe {
            let to = self.sums.at((row * self.blocks + block) * PAIR);
            totals[0].store(to);
            totals[1].store(to.add(LANES));
        }
    }
}

/// The totals over all rows, in their order and in double precision, channel by channel.
pub(super) fn gathered(sums: &[f32], blocks: usize) -> Vec<[f64; 2]> {
    let mut channels = vec![[0.0; 2]; blocks * LANES];
    for row in sums.chunks_exact(blocks * PAIR) {
        for (channels, pair) in channels.chunks_exact_mut(LANES).zip(row.chunks_exact(PAIR)) {
            let (first, second) = pair.split_at(LANES);
            for ((channel, first), second) in channels.iter_mut().zip(first).zip(second) {
                channel[0] += f64::from(*first);
                channel[1] += f64::from(*second);
            }
        }
    }
    channels
}

//! Correlation of transformed tiles of x and dy: sums over tiles, kept in registers.

use crate::kernels::vector::{LANES, Vector};

/// `sums[c] (+)= Σ x[tile][c] · dy[tile]`, a vector over the channels of dy for each channel of x, of one block of dy, or of two with wide vectors.
///
/// # Safety
/// The CPU supports the instruction set of `V`. `count` vectors can be read at `x` and at each `dy`; at each of `sums` there are sixteen vectors
/// that no other task uses, and that have been computed unless `is_first`.
#[inline(always)]
pub(super) unsafe fn correlate<V: Vector, const BLOCKS: usize>(
    x: *const f32,
    dy: [*const f32; BLOCKS],
    sums: [*mut f32; BLOCKS],
    (count, is_first): (usize, bool),
) {
    // SAFETY: the caller guarantees all that `correlate_channels` requires, and no channel is beyond the sixteen of a vector.
    unsafe {
        let from = |c: usize| (x.add(c), sums.map(|sums| sums.add(c * LANES)));
        match (V::IS_WIDE, BLOCKS) {
            (true, 1) => correlate_channels::<V, 16, BLOCKS>(from(0), dy, (count, is_first)),
            (true, _) => {
                for c in [0, 8] {
                    correlate_channels::<V, 8, BLOCKS>(from(c), dy, (count, is_first));
                }
            }
            (false, _) => {
                for c in [0, 4, 8, 12] {
                    correlate_channels::<V, 4, BLOCKS>(from(c), dy, (count, is_first));
                }
            }
        }
    }
}

/// # Safety
/// As in [`correlate`], but of the vectors at `x` the first `CHANNELS` floats are enough, and at `sums` `CHANNELS` vectors.
#[inline(always)]
unsafe fn correlate_channels<V: Vector, const CHANNELS: usize, const BLOCKS: usize>(
    (x, sums): (*const f32, [*mut f32; BLOCKS]),
    dy: [*const f32; BLOCKS],
    (count, is_first): (usize, bool),
) {
    // SAFETY: the caller guarantees the instruction set, `CHANNELS` vectors of sums, and for each of `count` tiles a vector of dy and `CHANNELS`
    // floats of x.
    unsafe {
        let mut registers = [[V::splat(0.0); CHANNELS]; BLOCKS];
        if !is_first {
            for k in 0..BLOCKS {
                for c in 0..CHANNELS {
                    registers[k][c] = V::load(sums[k].add(c * LANES));
                }
            }
        }
        for tile in 0..count {
            let mut gradients = [V::splat(0.0); BLOCKS];
            for k in 0..BLOCKS {
                gradients[k] = V::load(dy[k].add(tile * LANES));
            }
            for c in 0..CHANNELS {
                let x = V::splat(*x.add(tile * LANES + c));
                for k in 0..BLOCKS {
                    registers[k][c] = x.mul_add(gradients[k], registers[k][c]);
                }
            }
        }
        for k in 0..BLOCKS {
            for c in 0..CHANNELS {
                registers[k][c].store(sums[k].add(c * LANES));
            }
        }
    }
}

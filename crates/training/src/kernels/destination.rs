//! Where a kernel's results go.

use super::unsafe_slice::UnsafeSlice;
use super::vector::Vector;

/// Floats of a result that is written past the caches: one that leaves no room in them for anything else, so that it is read from memory
/// afterwards anyway.
const STREAMED: usize = 1 << 20;

/// Bytes of a cache line.
const LINE: usize = 64;

/// A result that tasks write vector by vector, each vector once and none of them read before all tasks have ended.
#[derive(Clone, Copy)]
pub(super) struct Destination<'a> {
    result: UnsafeSlice<'a>,
    /// Whether vectors are whole lines, written past the caches: a line is then not read before it is overwritten.
    is_streamed: bool,
}

impl<'a> Destination<'a> {
    pub(super) fn new(result: &'a mut [f32]) -> Self {
        let is_aligned = result.as_ptr().addr().is_multiple_of(LINE);
        Self {
            is_streamed: is_aligned && result.len() >= STREAMED,
            result: UnsafeSlice::new(result),
        }
    }

    /// Writes the vector at `offset`.
    ///
    /// # Safety
    /// `offset` is a multiple of sixteen, and the result has a vector there. It is written once, and not read before all tasks have ended.
    #[inline(always)]
    pub(super) unsafe fn put<V: Vector>(&self, offset: usize, vector: V) {
        // SAFETY: the caller guarantees room for the vector, and that no other task uses it; if it is streamed, `result` starts with a line, and so
        // does every sixteenth float.
        unsafe {
            let to = self.result.at(offset);
            if self.is_streamed {
                vector.stream(to);
            } else {
                vector.store(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::instructions::{InstructionSet, Kernel};
    use crate::kernels::pool::Serial;
    use crate::kernels::scratch::Workspace;
    use crate::kernels::vector::LANES;

    /// Copies a vector a task.
    struct Copied<'a>(&'a [f32], Destination<'a>);

    impl Kernel for Copied<'_> {
        #[inline(always)]
        unsafe fn task<V: Vector>(&self, number: usize) {
            let Self(from, to) = self;
            // SAFETY: the caller guarantees the instruction set; there is a task for each vector of both.
            unsafe { to.put(number * LANES, V::load(from.as_ptr().add(number * LANES))) };
        }
    }

    #[test]
    fn a_result_gets_the_same_bits_whether_it_is_streamed_or_not() {
        let from: Vec<f32> = (0..STREAMED).map(|number| number as f32).collect();
        let mut workspace = Workspace::default();
        for &set in InstructionSet::available() {
            // Large and aligned, large and not aligned, small.
            for (start, length, is_streamed) in [(0, STREAMED, true), (1, STREAMED, false), (0, LANES, false)]
            {
                let to = &mut workspace.sums.slice(STREAMED + LANES)[start..start + length];
                to.fill(f32::NAN);
                let destination = Destination::new(to);
                assert_eq!(destination.is_streamed, is_streamed);
                set.run(&Serial, length / LANES, &Copied(&from, destination));
                assert!(*to == from[..length], "{set:?}, {start}, {length}");
            }
        }
    }
}

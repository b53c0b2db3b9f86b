//! Who runs the tasks of a kernel.

/// Runs independent tasks, on as many threads as it likes, and returns when all are done.
///
/// Kernels cut their work into tasks by shape alone, never by the number of threads, and every task writes what no other one touches:
/// so the threads cannot change a bit.
///
/// # Safety
/// A task writes through shared pointers, without a lock, what belongs to its number. So [`Pool::run`] must call `task` with numbers below
/// `count` only, with each of them once, and must neither return nor unwind before all calls have ended.
pub unsafe trait Pool {
    /// Calls `task` with every number below `count`, once each.
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync));
}

/// The calling thread alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

// SAFETY: a range has each of its numbers once, and each call has ended before the next one begins.
unsafe impl Pool for Serial {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }
}

//! Threads that run the tasks of a kernel.

/// Runs independent tasks on any number of threads, and returns when all are done.
///
/// Kernels split their work into tasks by shape alone, and every task writes its own elements: results do not depend on the number of threads.
///
/// # Safety
/// A task writes the elements of its number through shared pointers, without a lock. Therefore [`Pool::run`] must call `task` with numbers
/// below `count` only, with each of them once, and must neither return nor unwind before all calls have ended.
pub unsafe trait Pool {
    /// Calls `task` with every number below `count`, once each.
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync));
}

/// Runs all tasks on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

// SAFETY: a range has each of its numbers once, and each call has ended before the next one begins.
unsafe impl Pool for Serial {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }
}

//! Who runs the tasks of a kernel.

/// Runs independent tasks, on as many threads as it likes, and returns when all are done.
///
/// Kernels cut their work into tasks by shape alone, never by the number of threads, and every task writes what no other one touches:
/// so the threads cannot change a bit.
pub trait Pool {
    /// Calls `task` with every number below `count`.
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync));
}

/// The calling thread alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Pool for Serial {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }
}

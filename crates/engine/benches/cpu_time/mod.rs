//! A criterion measurement of CPU time instead of wall-clock time, which is less sensitive to other load.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// CPU time, user and system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTime(ClockId);

#[allow(dead_code, reason = "each benchmark program uses one of the two")]
impl CpuTime {
    /// Of the calling thread.
    pub(crate) const THREAD: Self = Self(ClockId::ThreadCPUTime);
    /// Of all threads.
    pub(crate) const PROCESS: Self = Self(ClockId::ProcessCPUTime);

    fn nanoseconds(self) -> u64 {
        let time = clock_gettime(self.0);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        self.nanoseconds()
    }

    fn end(&self, start: u64) -> u64 {
        self.nanoseconds() - start
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

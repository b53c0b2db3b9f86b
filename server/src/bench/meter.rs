//! Wall time, processor time and memory of this process.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// The cost of some images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Images rendered, sent or decoded.
    images: u64,
    /// Wall time.
    wall: Duration,
    /// User and system time of all threads.
    processor: Duration,
}

impl Cost {
    /// Processor time per image, in milliseconds.
    pub(super) fn cpu_ms(&self) -> f64 {
        self.processor.as_secs_f64() * 1000.0 / self.images as f64
    }

    /// Images per second of wall time.
    pub(super) fn rate(&self) -> f64 {
        self.images as f64 / self.wall.as_secs_f64()
    }
}

/// A running measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    started: Instant,
    processor: Duration,
}

impl Meter {
    pub(super) fn start() -> Self {
        Self {
            processor: cpu_time(),
            started: Instant::now(),
        }
    }

    /// The cost of `images` images since the start.
    pub(super) fn stop(self, images: u64) -> Cost {
        Cost {
            images,
            wall: self.started.elapsed(),
            processor: cpu_time() - self.processor,
        }
    }

    /// Wall time since the start, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1000.0
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Resident memory of this process, in bytes.
pub(super) fn resident_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("unexpected format"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// The median; NaN if there are no values.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_even_odd_and_no_values() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn processor_time_of_all_threads_counts() {
        let meter = Meter::start();
        let spin = || {
            let own = || clock_gettime(ClockId::ThreadCPUTime);
            while own().tv_sec == 0 && own().tv_nsec < 20_000_000 {}
        };
        std::thread::scope(|scope| {
            scope.spawn(spin);
        });
        assert!(meter.stop(1).cpu_ms() >= 20.0);
    }
}

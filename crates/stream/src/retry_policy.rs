//! How long to wait for servers, and how long between tries.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

/// What a stream puts up with before it does something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// A stream whose servers are all gone is given up after this long. Zero: at once, at the first failure of the last server.
    pub retry_for: Duration,
    /// A server that owes a batch for this long is asked no more where another one can be.
    pub stall: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            // A server that is restarted with a large folder reads all headers first.
            retry_for: Duration::from_secs(300),
            // A first batch of large images, none of them decoded yet, takes seconds.
            stall: Duration::from_secs(10),
        }
    }
}

/// The longest wait between two tries: a server that comes back is noticed within it.
const LONGEST: Duration = Duration::from_secs(5);
/// The wait after a first failure.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long to wait after the `failures`-th failure in a row, from 1: doubled each time up to five seconds, less up to a half of it by chance,
/// so that a hundred clients of a server that died do not all come back in the same moment.
pub(super) fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = SHORTEST.saturating_mul(1 << doublings).min(LONGEST);
    full.mul_f64(1.0 - random() / 2.0)
}

/// A number from 0 to 1 that differs from call to call and from process to process; nothing that is computed depends on it.
fn random() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_at_most_half() {
        for (failures, full) in [
            (1, 100),
            (2, 200),
            (3, 400),
            (6, 3200),
            (7, 5000),
            (u32::MAX, 5000),
        ] {
            let full = Duration::from_millis(full);
            let pauses: Vec<Duration> = (0..64).map(|_| pause(failures)).collect();
            assert!(
                pauses.iter().all(|pause| (full / 2..=full).contains(pause)),
                "{failures}: {pauses:?}"
            );
            assert!(
                pauses.iter().any(|pause| *pause != pauses[0]),
                "{failures}: no chance"
            );
        }
    }
}

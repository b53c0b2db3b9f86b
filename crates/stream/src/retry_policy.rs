//! Timeouts and backoff for failed servers.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

/// How long a stream waits for servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// If all servers have failed, the stream fails after this long. Zero: at the first failure of the last server.
    pub retry_for: Duration,
    /// If a server's batch is late by this much, another server is asked, if there is one.
    pub stall: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            // A restarted server first reads the headers of all files, which takes minutes for large folders.
            retry_for: Duration::from_secs(300),
            // A first batch of large images takes seconds to decode.
            stall: Duration::from_secs(10),
        }
    }
}

/// Maximum backoff.
const LONGEST: Duration = Duration::from_secs(5);
/// Backoff after the first failure.
const SHORTEST: Duration = Duration::from_millis(100);

/// The backoff after the `failures`-th consecutive failure, from 1: exponential up to [`LONGEST`], shortened by a random part of up to a
/// half (jitter), so that many clients of one server do not retry simultaneously.
pub(super) fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = SHORTEST.saturating_mul(1 << doublings).min(LONGEST);
    full.mul_f64(1.0 - random() / 2.0)
}

/// A random number in `0..1`, without influence on any result.
fn random() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum_with_jitter() {
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
                "{failures}: no jitter"
            );
        }
    }
}

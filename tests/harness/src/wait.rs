//! Waiting with a deadline: a test that waits in vain fails and names the condition.

use std::{
    future::Future,
    thread,
    time::{Duration, Instant},
};

/// Longer than any condition takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// Between two attempts.
const INTERVAL: Duration = Duration::from_millis(5);

/// Repeats `attempt` until it gives a value.
///
/// # Panics
///
/// After [`DEADLINE`], with `what`.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(INTERVAL);
    }
}

/// Different delays from zero up to `longest`, the same in every run.
pub fn delays(longest: Duration) -> impl Iterator<Item = Duration> {
    (0_u32..).map(move |number| longest.mul_f64(f64::from(number * 7919 % 100) / 100.0))
}

/// [`eventually`] for conditions that tasks of the current thread contribute to.
///
/// # Panics
///
/// After [`DEADLINE`], with `what`.
pub async fn eventually_async<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    })
    .await
}

/// The value of `work`.
///
/// # Panics
///
/// After [`DEADLINE`], with `what`.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let value = tokio::time::timeout(DEADLINE, work).await;
    value.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}

//! Waiting for what must come about, with a deadline: a test that waits in vain fails and says for what.

use std::{
    future::Future,
    thread,
    time::{Duration, Instant},
};

/// Longer than anything takes that a test waits for, however busy the machine is.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// Between two attempts.
const INTERVAL: Duration = Duration::from_millis(5);

/// Tries until `attempt` gives a value.
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

/// [`eventually`] for attempts that the current thread's tasks have a part in.
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

/// The value of `work`, which must come to its end.
///
/// # Panics
///
/// After [`DEADLINE`], with `what`.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let value = tokio::time::timeout(DEADLINE, work).await;
    value.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}

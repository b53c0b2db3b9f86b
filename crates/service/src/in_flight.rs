//! Counts the requests in flight on a connection, for its idle timeout.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Number of open requests of a connection, and when the last one ended.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Arc<Mutex<RequestCounts>>);

#[derive(Debug)]
struct RequestCounts {
    open: usize,
    since: Instant,
}

/// Counts a request as open until its response is sent or dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard(InFlight);

impl InFlight {
    /// For a new connection.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(RequestCounts {
            open: 0,
            since: Instant::now(),
        })))
    }

    /// Whether no request is open.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().open == 0
    }

    /// Time since the last request ended; zero while one is open.
    pub(super) fn idle_time(&self) -> Duration {
        self.idle_time_at(Instant::now())
    }

    fn idle_time_at(&self, now: Instant) -> Duration {
        let state = self.lock();
        if state.open > 0 {
            Duration::ZERO
        } else {
            now.saturating_duration_since(state.since)
        }
    }

    pub(super) fn begin(&self) -> InFlightGuard {
        self.lock().open += 1;
        InFlightGuard(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, RequestCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        state.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_from_the_end_of_its_last_request() {
        let before = Instant::now();
        let in_flight = InFlight::new();
        let later = Instant::now() + Duration::from_secs(5);
        let idle = in_flight.idle_time_at(later);
        let since = later - idle;
        assert!(
            before <= since && idle >= Duration::from_secs(5),
            "no request yet"
        );
        let (first, second) = (in_flight.begin(), in_flight.begin());
        drop(first);
        assert_eq!(in_flight.idle_time_at(later), Duration::ZERO);
        let before = Instant::now();
        drop(second);
        let since = later - in_flight.idle_time_at(later);
        assert!(
            (before..=Instant::now()).contains(&since),
            "since the end of the last request"
        );
    }
}

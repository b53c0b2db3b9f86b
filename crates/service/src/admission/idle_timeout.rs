//! The idle timeout of a connection.

use std::{
    future::Future as _,
    pin::Pin,
    task::Context,
    time::{Duration, Instant},
};

use tokio::time::{self, Sleep};

use crate::in_flight::InFlight;

/// Closes a connection that has had no request for too long.
#[derive(Debug)]
pub(super) struct IdleTimeout {
    /// Longest time without a request.
    limit: Option<Duration>,
    /// Longest time without a request while writes are pending.
    stall_limit: Duration,
    /// The next check.
    timer: Pin<Box<Sleep>>,
}

impl IdleTimeout {
    pub(super) fn new(limit: Option<Duration>, stall_limit: Duration) -> Self {
        let first = limit.map_or(stall_limit, |limit| limit.min(stall_limit));
        Self {
            limit,
            stall_limit,
            timer: Box::pin(time::sleep(first)),
        }
    }

    /// Returns whether the timeout has passed; if not, wakes the task at the next possible moment. `stalled_since` is the time since which
    /// writes are pending.
    pub(super) fn is_expired(
        &mut self,
        in_flight: &InFlight,
        stalled_since: Option<Instant>,
        context: &mut Context<'_>,
    ) -> bool {
        while self.timer.as_mut().poll(context).is_ready() {
            let idle = in_flight.idle_time();
            let left = self
                .limit
                .map_or(self.stall_limit, |limit| limit.saturating_sub(idle));
            let stalled = stalled_since.map_or(Duration::ZERO, |since| since.elapsed());
            let left_stalled = self.stall_limit.saturating_sub(stalled.min(idle));
            if left.is_zero() || left_stalled.is_zero() {
                return true;
            }
            self.timer
                .as_mut()
                .reset(time::Instant::now() + left.min(left_stalled));
        }
        false
    }
}

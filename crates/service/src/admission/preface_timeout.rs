//! The deadline of the HTTP/2 connection preface.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{self, Sleep};

/// Bytes that every client sends first: the HTTP/2 preface, and the header of its SETTINGS frame.
const PREFACE_BYTES: usize = 24 + 9;

/// Closes a connection whose client has not sent the HTTP/2 preface in time.
#[derive(Debug)]
pub(super) struct PrefaceTimeout {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl PrefaceTimeout {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            missing: PREFACE_BYTES,
            deadline: Box::pin(time::sleep(timeout)),
        }
    }

    /// Counts received bytes; returns whether the preface is complete.
    pub(super) fn record_received(&mut self, bytes: usize) -> bool {
        self.missing = self.missing.saturating_sub(bytes);
        self.missing == 0
    }

    /// Ready once the deadline has passed.
    pub(super) fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.deadline.as_mut().poll(context)
    }
}

//! Limits on the size, duration and memory of request bodies.
//!
//! The decoder buffers a message until it is complete. The memory of incomplete messages is limited per message, per connection and in all.
//! A request counts as activity of its connection only once it is complete.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tonic::{Status, body::Body};

use super::{
    access::ClientId,
    admission::ConnectionInfo,
    in_flight::InFlightGuard,
    traffic::{Refusal, Traffic},
};

/// Maximum length of a request message, in bytes: the weights of 2,500 classes fit.
pub(super) const MESSAGE_BYTES: usize = 64 << 10;
/// The same for the health service, whose messages hold only the name of a service.
const HEALTH_BYTES: usize = 256;
/// Maximum of incomplete messages of one connection, in bytes.
const CONNECTION_BYTES: usize = 1 << 20;
/// Length of the gRPC message prefix: the compression flag and the message length.
const PREFIX: usize = 5;

/// A memory budget in bytes. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    /// The budget of one connection.
    pub(super) fn of_connection() -> Self {
        Self::new(CONNECTION_BYTES)
    }

    fn new(limit: usize) -> Self {
        let used = Arc::default();
        Self { used, limit }
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok()
    }
}

/// Bytes taken from some budgets, returned when dropped.
#[derive(Debug)]
struct HeldBytes {
    budgets: Vec<Budget>,
    bytes: usize,
}

impl HeldBytes {
    fn take(&mut self, bytes: usize) -> Result<(), Status> {
        for (index, budget) in self.budgets.iter().enumerate() {
            if !budget.take(bytes) {
                give_back(&self.budgets[..index], bytes);
                return Err(Status::resource_exhausted(format!(
                    "incomplete requests exceed the limit of {} bytes: finish some first",
                    budget.limit
                )));
            }
        }
        self.bytes += bytes;
        Ok(())
    }

    fn give_back(&mut self) {
        give_back(&self.budgets, std::mem::take(&mut self.bytes));
    }
}

fn give_back(budgets: &[Budget], bytes: usize) {
    for budget in budgets {
        budget.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The limits of request bodies. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct BodyLimits {
    timeout: Duration,
    all: Budget,
    traffic: Traffic,
}

/// Set when a request is complete; its connection counts as busy until the guard is dropped.
pub(super) type Complete = Arc<OnceLock<Option<InFlightGuard>>>;

impl BodyLimits {
    /// Requests must be complete within `timeout`; those that are not take `bytes` bytes together, at most.
    pub(super) fn new(timeout: Duration, traffic: Traffic, bytes: usize) -> Self {
        Self {
            timeout,
            all: Budget::new(bytes),
            traffic,
        }
    }

    /// Applies the limits to the body of a request for `path`.
    pub(super) fn wrap(
        &self,
        body: Body,
        path: &str,
        connection: Option<&ConnectionInfo>,
    ) -> (Body, Complete) {
        let complete = Complete::default();
        let own = connection.map(ConnectionInfo::budget).cloned();
        let bounded = LimitedBody {
            body,
            limit: if path.starts_with("/grpc.health.") {
                HEALTH_BYTES
            } else {
                MESSAGE_BYTES
            },
            is_stream: path.ends_with("/StreamSharedBatches") || path.ends_with("/ServerReflectionInfo"),
            framer: MessageFramer::default(),
            held: HeldBytes {
                budgets: own.into_iter().chain([self.all.clone()]).collect(),
                bytes: 0,
            },
            deadline: Box::pin(sleep(self.timeout)),
            timeout: self.timeout,
            complete: Arc::clone(&complete),
            connection: connection.cloned(),
            traffic: self.traffic.clone(),
        };
        (Body::new(bounded), complete)
    }
}

/// Tracks the gRPC message framing of a body.
#[derive(Debug, Default)]
struct MessageFramer {
    prefix: [u8; PREFIX],
    /// Bytes of the prefix received so far.
    have: usize,
    /// Bytes left of the message after the prefix.
    missing: usize,
}

impl MessageFramer {
    /// Whether a message is incomplete.
    fn is_open(&self) -> bool {
        self.have > 0
    }

    /// Scans the next `bytes`; returns how many messages they complete, or the length of a message longer than `limit`.
    fn feed(&mut self, mut bytes: &[u8], limit: usize) -> Result<usize, usize> {
        let mut complete = 0;
        while !bytes.is_empty() {
            if self.have < PREFIX {
                let count = bytes.len().min(PREFIX - self.have);
                self.prefix[self.have..self.have + count].copy_from_slice(&bytes[..count]);
                self.have += count;
                bytes = &bytes[count..];
                if self.have < PREFIX {
                    break;
                }
                let [_, length @ ..] = self.prefix;
                self.missing = u32::from_be_bytes(length) as usize;
                if self.missing > limit {
                    return Err(self.missing);
                }
            }
            let count = bytes.len().min(self.missing);
            self.missing -= count;
            bytes = &bytes[count..];
            if self.missing == 0 {
                self.have = 0;
                complete += 1;
            }
        }
        Ok(complete)
    }
}

/// A body with [`BodyLimits`] applied.
struct LimitedBody {
    body: Body,
    /// Maximum length of a message.
    limit: usize,
    /// Whether any number of messages may follow, over any time.
    is_stream: bool,
    framer: MessageFramer,
    held: HeldBytes,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    complete: Complete,
    connection: Option<ConnectionInfo>,
    traffic: Traffic,
}

impl LimitedBody {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let was_open = self.framer.is_open();
        let longer = |length: usize, limit: usize| {
            Status::resource_exhausted(format!(
                "a message of {length} bytes exceeds the limit of {limit} bytes"
            ))
        };
        self.held.take(bytes.len())?;
        let complete = self.framer.feed(bytes, self.limit);
        let complete = complete.map_err(|length| longer(length, self.limit))?;
        if self.is_stream {
            if complete > 0 {
                self.held.give_back();
                self.completed();
            }
            if self.framer.is_open() && (complete > 0 || !was_open) {
                self.deadline.as_mut().reset(Instant::now() + self.timeout);
            }
        } else if self.held.bytes > self.limit + PREFIX {
            return Err(longer(self.held.bytes - PREFIX, self.limit));
        } else if self.body.is_end_stream() {
            self.completed();
        }
        Ok(())
    }

    fn completed(&self) {
        let _before = self
            .complete
            .get_or_init(|| self.connection.as_ref().map(ConnectionInfo::begin_request));
    }

    fn refused(&self, refusal: Refusal, status: Status) -> Status {
        let client = self
            .connection
            .as_ref()
            .map_or(ClientId::Local, ConnectionInfo::client);
        self.traffic.refused(refusal, &client, status.message());
        status
    }
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if polled.is_pending() {
            let is_waited_for = this.framer.is_open() || this.complete.get().is_none();
            if is_waited_for && this.deadline.as_mut().poll(context).is_ready() {
                let seconds = this.timeout.as_secs_f64();
                let status =
                    Status::deadline_exceeded(format!("the request is not complete after {seconds} s"));
                return Poll::Ready(Some(Err(this.refused(Refusal::Silence, status))));
            }
        }
        let Some(frame) = ready!(polled) else {
            this.completed();
            return Poll::Ready(None);
        };
        let frame = frame.and_then(|frame| {
            let bytes = frame.data_ref().cloned().unwrap_or_default();
            this.take(&bytes)
                .map_err(|status| this.refused(Refusal::Limit, status))?;
            Ok(frame)
        });
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((length as u32).to_be_bytes());
        bytes.resize(PREFIX + length, 7);
        bytes
    }

    #[test]
    fn messages_are_found_for_any_chunking() {
        let bytes = [message(0), message(300), message(3)].concat();
        for size in [1, 2, 5, 7, 1000] {
            let mut framer = MessageFramer::default();
            let complete: usize = bytes
                .chunks(size)
                .map(|piece| framer.feed(piece, 300).expect("short messages"))
                .sum();
            assert_eq!((complete, framer.is_open()), (3, false), "{size}");
        }
        let mut framer = MessageFramer::default();
        assert_eq!(framer.feed(&message(301), 300), Err(301));
        let mut framer = MessageFramer::default();
        assert_eq!(framer.feed(&message(9)[..13], 300), Ok(0));
        assert!(framer.is_open());
    }

    #[test]
    fn a_budget_is_shared_and_returned() {
        let (small, large) = (Budget::new(10), Budget::new(100));
        let held = |bytes: usize| {
            let budgets = vec![large.clone(), small.clone()];
            let mut held = HeldBytes { budgets, bytes: 0 };
            held.take(bytes).map(|()| held)
        };
        let first = held(8).expect("room");
        assert!(held(3).is_err());
        assert_eq!(
            large.used.load(Ordering::Relaxed),
            8,
            "a refused request takes nothing"
        );
        drop(first);
        assert!(held(10).is_ok());
        assert_eq!(small.used.load(Ordering::Relaxed), 0);
    }
}

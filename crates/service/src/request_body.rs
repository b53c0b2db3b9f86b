//! Limits on the size, duration and memory of request bodies.
//!
//! The decoder buffers a message until it is complete. The memory of incomplete messages is limited per message, per connection and in all.
//! A request counts as activity of its connection only once it is complete.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use equibatch_transport::PREFIX;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tonic::{Status, body::Body};

use super::{
    access::ClientId,
    admission::ConnectionInfo,
    in_flight::InFlightGuard,
    message_framer::MessageFramer,
    request_budget::{Budget, HeldBytes},
    traffic::{Refusal, Traffic},
};

/// Maximum length of a request message, in bytes: the weights of 2,500 classes fit.
pub(super) const MESSAGE_BYTES: usize = 64 << 10;
/// The same for the health service, whose messages hold only the name of a service.
const HEALTH_BYTES: usize = 256;

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
            held: HeldBytes::of(own.into_iter().chain([self.all.clone()])),
            deadline: Box::pin(sleep(self.timeout)),
            timeout: self.timeout,
            complete: Arc::clone(&complete),
            connection: connection.cloned(),
            traffic: self.traffic.clone(),
        };
        (Body::new(bounded), complete)
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
        } else if self.held.bytes() > self.limit + PREFIX {
            return Err(longer(self.held.bytes() - PREFIX, self.limit));
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

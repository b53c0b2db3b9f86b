//! Tracks the requests in flight on a connection, for its idle timeout.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use tonic::{
    body::Body,
    codegen::{BoxFuture, Service},
};
use tower::Layer;

use super::{admission::ConnectionInfo, request_body::BodyLimits};

/// The header that names the compression of messages.
const GRPC_ENCODING: &str = "grpc-encoding";

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

/// Counts each request as in flight from its completion until the last byte of its response, and applies the [`BodyLimits`].
#[derive(Clone, Debug)]
pub(super) struct TrackRequestsLayer(pub(super) BodyLimits);

impl<S> Layer<S> for TrackRequestsLayer {
    type Service = TrackRequests<S>;

    fn layer(&self, inner: S) -> TrackRequests<S> {
        TrackRequests(inner, self.0.clone())
    }
}

/// The service of [`TrackRequestsLayer`].
#[derive(Clone, Debug)]
pub(super) struct TrackRequests<S>(S, BodyLimits);

impl<S> Service<Request<Body>> for TrackRequests<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        cut(&mut head.headers);
        let (body, guard) = self
            .1
            .wrap(body, head.uri.path(), head.extensions.get::<ConnectionInfo>());
        let answering = self.0.call(Request::from_parts(head, body));
        Box::pin(async move {
            let answer = answering.await?;
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    // Dropped with the body.
                    let _busy = &guard;
                    frame
                }))
            }))
        })
    }
}

/// Longest part of a header value that an error may repeat, in bytes.
const REPEATED: usize = 256;

/// Truncates header values that tonic repeats in errors: clients reject statuses that are too long.
fn cut(headers: &mut HeaderMap) {
    if let Some(value) = headers.get_mut(GRPC_ENCODING)
        && let Some(beginning) = value.as_bytes().get(..REPEATED)
    {
        *value = HeaderValue::from_bytes(beginning).expect("a prefix of a header value is valid");
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

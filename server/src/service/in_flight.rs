//! Which connections are used, so that those that are not can be closed.

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

/// The header that says how messages are compressed.
const GRPC_ENCODING: &str = "grpc-encoding";

/// Whether a connection has requests open, and when the last one ended.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Arc<Mutex<RequestCounts>>);

#[derive(Debug)]
struct RequestCounts {
    open: usize,
    since: Instant,
}

/// A request, until its answer is sent or dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard(InFlight);

impl InFlight {
    /// Of a connection that was made now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(RequestCounts {
            open: 0,
            since: Instant::now(),
        })))
    }

    /// Whether there is no request.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().open == 0
    }

    /// How long there has been no request.
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

/// Notes of every request when it is complete and when the last byte of its answer is sent, and holds its body to [`BodyLimits`].
#[derive(Clone, Debug)]
pub(super) struct TrackRequestsLayer(pub(super) BodyLimits);

impl<S> Layer<S> for TrackRequestsLayer {
    type Service = TrackRequests<S>;

    fn layer(&self, inner: S) -> TrackRequests<S> {
        TrackRequests(inner, self.0.clone())
    }
}

/// What [`TrackRequestsLayer`] makes of a service.
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
                    // Held for as long as the body is.
                    let _busy = &guard;
                    frame
                }))
            }))
        })
    }
}

/// Bytes of a header's value that an error may repeat.
const REPEATED: usize = 256;

/// Cuts the values that errors repeat: a client might not take a status as long as it can make one.
fn cut(headers: &mut HeaderMap) {
    if let Some(value) = headers.get_mut(GRPC_ENCODING)
        && let Some(beginning) = value.as_bytes().get(..REPEATED)
    {
        *value = HeaderValue::from_bytes(beginning).expect("a part of a value is a value");
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
            "nothing was asked yet"
        );
        let (first, second) = (in_flight.begin(), in_flight.begin());
        drop(first);
        assert_eq!(in_flight.idle_time_at(later), Duration::ZERO);
        let before = Instant::now();
        drop(second);
        let since = later - in_flight.idle_time_at(later);
        assert!(
            (before..=Instant::now()).contains(&since),
            "from the end of the last one"
        );
    }
}

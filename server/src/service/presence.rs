//! Which connections are used, so that those that are not can be closed.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use tonic::{
    body::Body,
    codegen::{BoxFuture, Service},
};
use tower::Layer;

use super::door::Visit;

/// Whether a connection has requests open, and when the last one ended.
#[derive(Clone, Debug)]
pub(super) struct Presence(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    open: usize,
    since: Instant,
}

/// A request, until its answer is sent or dropped.
#[derive(Debug)]
pub(super) struct Busy(Presence);

impl Presence {
    /// Of a connection that was made now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            open: 0,
            since: Instant::now(),
        })))
    }

    /// How long there has been no request.
    pub(super) fn idle(&self) -> Duration {
        self.idle_at(Instant::now())
    }

    fn idle_at(&self, now: Instant) -> Duration {
        let state = self.lock();
        if state.open > 0 {
            Duration::ZERO
        } else {
            now.saturating_duration_since(state.since)
        }
    }

    pub(super) fn enter(&self) -> Busy {
        self.lock().open += 1;
        Busy(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        state.since = Instant::now();
    }
}

/// Notes of every request when it begins and when the last byte of its answer is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted;

impl<S> Layer<S> for Noted {
    type Service = NotedService<S>;

    fn layer(&self, inner: S) -> NotedService<S> {
        NotedService(inner)
    }
}

/// What [`Noted`] makes of a service.
#[derive(Clone, Debug)]
pub(super) struct NotedService<S>(S);

impl<S> Service<Request<Body>> for NotedService<S>
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
        let busy = request.extensions().get::<Visit>().map(Visit::enter);
        let answering = self.0.call(request);
        Box::pin(async move {
            let answer = answering.await?;
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    // Held for as long as the body is.
                    let _busy = &busy;
                    frame
                }))
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_from_the_end_of_its_last_request() {
        let before = Instant::now();
        let presence = Presence::new();
        let later = Instant::now() + Duration::from_secs(5);
        let idle = presence.idle_at(later);
        let since = later - idle;
        assert!(
            before <= since && idle >= Duration::from_secs(5),
            "nothing was asked yet"
        );
        let (first, second) = (presence.enter(), presence.enter());
        drop(first);
        assert_eq!(presence.idle_at(later), Duration::ZERO);
        let before = Instant::now();
        drop(second);
        let since = later - presence.idle_at(later);
        assert!(
            (before..=Instant::now()).contains(&since),
            "from the end of the last one"
        );
    }
}

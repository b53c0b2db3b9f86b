//! Wraps every request: limits its body, and counts it as in flight until its response is sent.

use std::{
    convert::Infallible,
    task::{Context, Poll},
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

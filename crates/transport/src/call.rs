//! Calls `StreamBatches`.

use std::future::poll_fn;

use bytes::Bytes;
use equibatch_proto::v1::StreamBatchesRequest;
use http::{HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::Full;
use tonic::{Status, body::Body, client::GrpcService, metadata::GRPC_CONTENT_TYPE};

use super::message::encode;

/// Path of the method.
const STREAM_BATCHES: &str = "/equibatch.v1.BatchLoader/StreamBatches";

/// Sends `request` over `service`, and waits for the response headers; returns the body of the response.
///
/// # Errors
///
/// The status of the server, or the error of the connection.
pub(super) async fn call<S>(service: &mut S, request: &StreamBatchesRequest) -> Result<Body, Status>
where
    S: GrpcService<Body>,
    S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let broken = |error: S::Error| Status::from_error(error.into());
    poll_fn(|context| service.poll_ready(context))
        .await
        .map_err(broken)?;
    let response = service.call(http_request(request)).await.map_err(broken)?;
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return Err(status);
    }
    if head.status != StatusCode::OK {
        return Err(Status::unknown(format!("HTTP status {}", head.status)));
    }
    Ok(Body::new(body))
}

fn http_request(request: &StreamBatchesRequest) -> Request<Body> {
    let mut http = Request::new(Body::new(Full::new(encode(request))));
    *http.method_mut() = Method::POST;
    *http.version_mut() = Version::HTTP_2;
    *http.uri_mut() = http::Uri::from_static(STREAM_BATCHES);
    let headers = http.headers_mut();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
    http
}

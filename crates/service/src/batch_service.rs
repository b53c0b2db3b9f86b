//! The gRPC service: the generated one, except for the streaming methods, whose responses are [`BatchBody`]s.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::Buf as _;
use equibatch_proto::v1::{
    StreamBatchesRequest, StreamBatchesResponse, StreamSharedBatchesRequest,
    batch_loader_server::BatchLoaderServer,
};
use http::{Request, Response, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tonic::{
    Status, Streaming,
    body::Body,
    codec::Codec as _,
    codegen::{BoxFuture, Service},
    metadata::GRPC_CONTENT_TYPE,
    server::NamedService,
};
use tonic_prost::ProstCodec;

use super::{batch_body::BatchBody, loader::Loader, request_body::MESSAGE_BYTES};

/// The streaming methods.
const STREAM_BATCHES: &str = "/equibatch.v1.BatchLoader/StreamBatches";
const STREAM_SHARED_BATCHES: &str = "/equibatch.v1.BatchLoader/StreamSharedBatches";

/// The `BatchLoader` service.
#[derive(Clone, Debug)]
pub(super) struct BatchService {
    loader: Loader,
    generated: BatchLoaderServer<Loader>,
}

impl BatchService {
    pub(super) fn new(loader: Loader) -> Self {
        let generated = BatchLoaderServer::new(loader.clone()).max_decoding_message_size(MESSAGE_BYTES);
        Self { loader, generated }
    }
}

impl NamedService for BatchService {
    const NAME: &'static str = <BatchLoaderServer<Loader> as NamedService>::NAME;
}

impl Service<Request<Body>> for BatchService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_shared = match request.uri().path() {
            STREAM_BATCHES => false,
            STREAM_SHARED_BATCHES => true,
            _ => return self.generated.call(request),
        };
        let loader = self.loader.clone();
        Box::pin(async move {
            let body = if is_shared {
                stream_shared_batches(&loader, request).await
            } else {
                stream_batches(&loader, request).await
            };
            Ok(body.map_or_else(Status::into_http, response))
        })
    }
}

async fn stream_batches(loader: &Loader, request: Request<Body>) -> Result<BatchBody, Status> {
    let (head, body) = request.into_parts();
    loader
        .stream_batches(&head.extensions, message(body).await?)
        .await
}

async fn stream_shared_batches(loader: &Loader, request: Request<Body>) -> Result<BatchBody, Status> {
    let (head, body) = request.into_parts();
    let decoder = ProstCodec::<StreamBatchesResponse, StreamSharedBatchesRequest>::default().decoder();
    let messages = Streaming::new_request(decoder, body, None, Some(MESSAGE_BYTES));
    loader.stream_shared_batches(&head.extensions, messages).await
}

fn response(body: BatchBody) -> Response<Body> {
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

/// The only message of a unary request.
async fn message(body: Body) -> Result<StreamBatchesRequest, Status> {
    let mut bytes = body.collect().await?.to_bytes();
    let is_compressed = bytes.try_get_u8().map_err(|_| incomplete())? != 0;
    if is_compressed {
        return Err(Status::unimplemented("compressed requests are not supported"));
    }
    let length = bytes.try_get_u32().map_err(|_| incomplete())? as usize;
    if length != bytes.len() {
        return Err(incomplete());
    }
    StreamBatchesRequest::decode(bytes)
        .map_err(|error| Status::invalid_argument(format!("cannot decode the StreamBatchesRequest: {error}")))
}

fn incomplete() -> Status {
    Status::invalid_argument("the request body must be exactly one message")
}

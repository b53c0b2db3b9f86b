//! The messages, and a service that sends them by generated code or as frames.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use equibatch_engine::memory::Pool;
use http::{HeaderMap, Request, Response, header::CONTENT_TYPE};
use http_body::Frame;
use prost::{Message, encode_length_delimiter};
use tokio_stream::Stream;
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service},
    metadata::GRPC_CONTENT_TYPE,
    server::{Grpc, NamedService, ServerStreamingService},
};
use tonic_prost::ProstCodec;

/// Path of the method that uses the generated code; all others send frames.
pub(crate) const GENERATED: &str = "/equibatch.v1.BatchLoader/Usual";

/// What to send.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TensorRequest {
    /// Number of tensors.
    #[prost(uint64, tag = "3")]
    pub(crate) count: u64,
    /// Length of each, in bytes.
    #[prost(uint32, tag = "7")]
    pub(crate) payload: u32,
}

/// `equibatch.v1.StreamBatchesResponse` reduced to the tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WithBytes {
    #[prost(message, optional, tag = "2")]
    pub(crate) batch: Option<BatchWithBytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchWithBytes {
    #[prost(bytes = "bytes", tag = "15")]
    pub(crate) tensor: Bytes,
}

/// The same with the default type of `bytes` fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WithVec {
    #[prost(message, optional, tag = "2")]
    pub(crate) batch: Option<BatchWithVec>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchWithVec {
    #[prost(bytes = "vec", tag = "15")]
    pub(crate) tensor: Vec<u8>,
}

/// A tensor of `bytes` bytes, aligned like those of batches.
pub(crate) fn tensor(bytes: usize) -> Bytes {
    let mut buffer = Pool::new(bytes).take().expect("there is no bound");
    buffer.fill(7);
    buffer.freeze(bytes)
}

/// Sends the tensors that are ordered.
#[derive(Clone, Debug)]
pub(crate) struct SenderService;

impl NamedService for SenderService {
    const NAME: &'static str = "equibatch.v1.BatchLoader";
}

impl Service<Request<Body>> for SenderService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_generated = request.uri().path() == GENERATED;
        Box::pin(async move {
            if is_generated {
                let mut grpc = Grpc::new(ProstCodec::<WithBytes, TensorRequest>::default());
                return Ok(grpc.server_streaming(Generated, request).await);
            }
            let answered = frames(request).await;
            Ok(answered.unwrap_or_else(Status::into_http))
        })
    }
}

struct Generated;

impl ServerStreamingService<TensorRequest> for Generated {
    type Response = WithBytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<WithBytes, Status>> + Send>>;
    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: tonic::Request<TensorRequest>) -> Self::Future {
        let order = request.into_inner();
        let tensor = tensor(order.payload as usize);
        let message = WithBytes {
            batch: Some(BatchWithBytes { tensor }),
        };
        let messages = (0..order.count).map(move |_| Ok(message.clone()));
        let stream: Self::ResponseStream = Box::pin(tokio_stream::iter(messages));
        Box::pin(async { Ok(tonic::Response::new(stream)) })
    }
}

async fn frames(request: Request<Body>) -> Result<Response<Body>, Status> {
    use http_body_util::BodyExt as _;
    let bytes = request.into_body().collect().await?.to_bytes();
    let order =
        TensorRequest::decode(bytes.slice(5..)).map_err(|error| Status::internal(error.to_string()))?;
    let mut response = Response::new(Body::new(TensorBody::new(order)));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    Ok(response)
}

/// Largest data frame of a tensor in bytes, as in the service.
const CHUNK_BYTES: usize = 1 << 20;

/// A response body that never copies its tensors.
struct TensorBody {
    head: Bytes,
    tensor: Bytes,
    /// Unsent part of the current tensor.
    rest: Bytes,
    left: u64,
    is_ended: bool,
}

impl TensorBody {
    fn new(order: TensorRequest) -> Self {
        let tensor = tensor(order.payload as usize);
        let delimited = |length: usize| 1 + prost::length_delimiter_len(length) + length;
        let batch = delimited(tensor.len());
        let message = delimited(batch);
        let mut head = BytesMut::new();
        head.put_u8(0);
        head.put_u32(message as u32);
        for (key, length) in [(2_u8, batch), (15, tensor.len())] {
            head.put_u8((key << 3) | 2);
            encode_length_delimiter(length, &mut head).expect("the buffer grows");
        }
        Self {
            head: head.freeze(),
            tensor,
            rest: Bytes::new(),
            left: order.count,
            is_ended: false,
        }
    }
}

impl http_body::Body for TensorBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let frame = if !this.rest.is_empty() {
            let length = this.rest.len().min(CHUNK_BYTES);
            Frame::data(this.rest.split_to(length))
        } else if this.left > 0 {
            this.left -= 1;
            this.rest = this.tensor.clone();
            Frame::data(this.head.clone())
        } else if !this.is_ended {
            this.is_ended = true;
            let mut trailers = HeaderMap::new();
            let ok = Status::new(tonic::Code::Ok, "");
            ok.add_header(&mut trailers).expect("a plain status");
            Frame::trailers(trailers)
        } else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(frame)))
    }
}

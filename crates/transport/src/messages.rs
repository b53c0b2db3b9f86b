//! The responses to one request.

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use equibatch_proto::v1::{
    Batch, StreamBatchesRequest, StreamBatchesResponse, stream_batches_response::Message as Kind,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::Full;
use prost::Message as _;
use tonic::{Status, body::Body, client::GrpcService, metadata::GRPC_CONTENT_TYPE};

use super::tensor::{Found, find};
use equibatch_engine::{
    checksum::Crc32c,
    memory::{Pool, PooledBuffer},
};

/// The method.
const STREAM_BATCHES: &str = "/equibatch.v1.BatchLoader/StreamBatches";
/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// How much may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the tensor of a full batch.
    pub tensor: usize,
    /// Bytes of the largest message.
    pub message: usize,
}

/// The responses to one request, in order, each tensor in a buffer of its own that is used again when nobody refers to it any more.
#[derive(Debug)]
pub struct Messages {
    /// `None` when all is said.
    body: Option<Body>,
    sizes: Sizes,
    buffers: Arc<Pool>,
    /// What has come and is not taken yet.
    chunk: Bytes,
    state: State,
}

/// What is being received.
#[derive(Debug)]
enum State {
    /// The prefix of a message, or its fields.
    Fields {
        /// Of the message, once its prefix is there.
        length: Option<usize>,
        bytes: BytesMut,
    },
    /// The tensor at the end of a batch.
    Tensor {
        batch: Box<Batch>,
        buffer: PooledBuffer,
        filled: usize,
        length: usize,
        /// Of what is filled.
        checksum: Box<Crc32c>,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Fields {
            length: None,
            bytes: BytesMut::new(),
        }
    }
}

impl Messages {
    /// Sends `request` by `service`, and waits until it is answered.
    ///
    /// # Errors
    ///
    /// What the server says, and what the connection says.
    pub async fn open<S>(mut service: S, request: &StreamBatchesRequest, sizes: Sizes) -> Result<Self, Status>
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
        Ok(Self::from_body(Body::new(body), sizes))
    }

    fn from_body(body: Body, sizes: Sizes) -> Self {
        Self {
            body: Some(body),
            sizes,
            buffers: Pool::new(sizes.tensor),
            chunk: Bytes::new(),
            state: State::default(),
        }
    }

    /// The next message; `None` behind the last one. Nothing follows an error. Nothing is lost where the future is dropped before it is done.
    ///
    /// # Errors
    ///
    /// What the server says, and what the connection says.
    pub async fn message(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        let received = poll_fn(|context| self.poll_message(context)).await;
        if !matches!(received, Ok(Some(_))) {
            self.body = None;
            self.chunk = Bytes::new();
        }
        received
    }

    fn poll_message(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<StreamBatchesResponse>, Status>> {
        loop {
            if let Some(message) = self.advance()? {
                return Poll::Ready(Ok(Some(message)));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(Ok(None));
            };
            let frame = match ready!(Pin::new(body).poll_frame(context)) {
                Some(frame) => frame?,
                None => return Poll::Ready(Err(Status::unknown("the stream ended without a status"))),
            };
            match frame.into_data() {
                Ok(data) => self.chunk = data,
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return Poll::Ready(self.end(&trailers).map(|()| None));
                }
            }
        }
    }

    /// Takes what has come; a message, where one is complete.
    fn advance(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        while !self.chunk.is_empty() {
            let complete = match &mut self.state {
                State::Fields { .. } => self.take_fields()?,
                State::Tensor {
                    buffer,
                    filled,
                    length,
                    checksum,
                    ..
                } => {
                    let count = self.chunk.len().min(*length - *filled);
                    let arrived = &mut buffer[*filled..*filled + count];
                    self.chunk.copy_to_slice(arrived);
                    checksum.update(arrived);
                    *filled += count;
                    (*filled == *length).then(|| self.finish()).transpose()?
                }
            };
            if complete.is_some() {
                return Ok(complete);
            }
        }
        Ok(None)
    }

    /// Takes bytes of a message up to its tensor.
    fn take_fields(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        let State::Fields { length, bytes } = &mut self.state else {
            unreachable!("fields are being received")
        };
        let whole = length.unwrap_or(PREFIX);
        let count = self.chunk.len().min(whole - bytes.len());
        bytes.put(self.chunk.split_to(count));
        let Some(length) = *length else {
            if bytes.len() == PREFIX {
                self.begin()?;
            }
            // A message without any field is one all the same.
            return self.decode_whole();
        };
        match find(bytes, length) {
            Found::Tensor { fields, key, first } if length - first <= self.sizes.tensor => {
                let batch = Batch::decode(&bytes[fields..key]).map_err(|error| malformed(&error))?;
                let mut buffer = self.buffers.take().expect("the pool has no bound");
                let filled = bytes.len() - first;
                buffer[..filled].copy_from_slice(&bytes[first..]);
                let length = length - first;
                let mut checksum = Box::new(Crc32c::new());
                checksum.update(&buffer[..filled]);
                self.state = State::Tensor {
                    batch: Box::new(batch),
                    buffer,
                    filled,
                    length,
                    checksum,
                };
                (filled == length).then(|| self.finish()).transpose()
            }
            _ => self.decode_whole(),
        }
    }

    /// Reads the prefix of a message.
    fn begin(&mut self) -> Result<(), Status> {
        let State::Fields { length, bytes } = &mut self.state else {
            unreachable!("a prefix is being received")
        };
        if bytes.get_u8() != 0 {
            return Err(Status::internal("a compressed message, which nobody asked for"));
        }
        let announced = bytes.get_u32() as usize;
        let limit = self.sizes.message;
        if announced > limit {
            let message = format!("a message of {announced} bytes, where at most {limit} were asked for");
            return Err(Status::out_of_range(message));
        }
        *length = Some(announced);
        Ok(())
    }

    /// Decodes a message that is collected completely, and goes on with the next one.
    fn decode_whole(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        match mem::take(&mut self.state) {
            State::Fields {
                length: Some(length),
                bytes,
            } if bytes.len() == length => {
                let message = StreamBatchesResponse::decode(bytes.freeze());
                message.map(Some).map_err(|error| malformed(&error))
            }
            incomplete => {
                self.state = incomplete;
                Ok(None)
            }
        }
    }

    /// The batch whose tensor is complete, and as it was sent.
    fn finish(&mut self) -> Result<StreamBatchesResponse, Status> {
        let State::Tensor {
            mut batch,
            buffer,
            length,
            checksum,
            ..
        } = mem::take(&mut self.state)
        else {
            unreachable!("a tensor is being received")
        };
        if let Some(sent) = batch.tensor_crc32c
            && sent != checksum.value()
        {
            return Err(damaged(&batch));
        }
        batch.tensor = buffer.freeze(length);
        Ok(StreamBatchesResponse {
            message: Some(Kind::Batch(*batch)),
        })
    }

    /// What the end of the stream says.
    fn end(&self, trailers: &HeaderMap) -> Result<(), Status> {
        let status = Status::from_header_map(trailers)
            .unwrap_or_else(|| Status::unknown("the stream ended without a status"));
        if status.code() != tonic::Code::Ok {
            return Err(status);
        }
        match &self.state {
            State::Fields { length: None, bytes } if bytes.is_empty() => Ok(()),
            _ => Err(Status::internal("the stream ended within a message")),
        }
    }
}

fn malformed(error: &prost::DecodeError) -> Status {
    Status::internal(format!("a message that cannot be read: {error}"))
}

/// A batch arrived with other bytes than were sent: the source of the status of such a stream.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("epoch {} step {} was damaged on its way: the CRC-32C of its tensor differs", epoch + 1, step + 1)]
pub struct Damaged {
    /// From 0.
    pub epoch: u64,
    /// Within the epoch, from 0.
    pub step: u64,
}

fn damaged(batch: &Batch) -> Status {
    let (epoch, step) = (batch.epoch, batch.step);
    let damaged = Damaged { epoch, step };
    let mut status = Status::internal(damaged.to_string());
    status.set_source(Arc::new(damaged));
    status
}

fn http_request(request: &StreamBatchesRequest) -> Request<Body> {
    let length = request.encoded_len();
    let mut message = BytesMut::with_capacity(PREFIX + length);
    message.put_u8(0);
    message.put_u32(u32::try_from(length).expect("a request is small"));
    request.encode(&mut message).expect("the buffer grows");
    let mut http = Request::new(Body::new(Full::new(message.freeze())));
    *http.method_mut() = Method::POST;
    *http.version_mut() = Version::HTTP_2;
    *http.uri_mut() = http::Uri::from_static(STREAM_BATCHES);
    let headers = http.headers_mut();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
    http
}

#[cfg(test)]
mod tests;

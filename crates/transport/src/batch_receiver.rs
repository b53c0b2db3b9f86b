//! Receives the responses of a stream.

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
use http::HeaderMap;
use http_body::Body as _;
use prost::Message as _;
use tonic::{Status, body::Body, client::GrpcService};

use super::{
    call::call,
    damaged::damaged,
    message::PREFIX,
    tensor_field::{TensorSearch, find},
};
use equibatch_engine::{
    checksum::Crc32c,
    memory::{Pool, PooledBuffer},
};

/// Limits of what is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// Length of a full batch's tensor, in bytes.
    pub tensor: usize,
    /// Maximum length of a message, in bytes.
    pub message: usize,
}

/// Receives the responses to one request, in order. Each tensor has a buffer of its own, which is reused once all references to it are
/// dropped.
#[derive(Debug)]
pub struct BatchReceiver {
    /// `None` after the end.
    body: Option<Body>,
    sizes: SizeLimits,
    buffers: Arc<Pool>,
    /// Used first, while one is free.
    slots: Option<Arc<Pool>>,
    /// Received bytes that are not yet consumed.
    chunk: Bytes,
    state: ReceiveState,
}

/// What is being received.
#[derive(Debug)]
enum ReceiveState {
    /// The prefix of a message, or its fields up to the tensor.
    Fields {
        /// Length of the message, once its prefix is complete.
        length: Option<usize>,
        bytes: BytesMut,
    },
    /// The tensor at the end of a batch.
    Tensor {
        batch: Box<Batch>,
        buffer: PooledBuffer,
        filled: usize,
        length: usize,
        /// Of the filled part.
        checksum: Box<Crc32c>,
    },
}

impl Default for ReceiveState {
    fn default() -> Self {
        Self::Fields {
            length: None,
            bytes: BytesMut::new(),
        }
    }
}

impl BatchReceiver {
    /// Sends `request` over `service`, and waits for the response headers.
    ///
    /// # Errors
    ///
    /// The status of the server, or the error of the connection.
    pub async fn open<S>(
        mut service: S,
        request: &StreamBatchesRequest,
        sizes: SizeLimits,
    ) -> Result<Self, Status>
    where
        S: GrpcService<Body>,
        S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
        <S::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Ok(Self::from_body(call(&mut service, request).await?, sizes))
    }

    /// Receives tensors into `slots`, of which each has room for a full batch, while one is free.
    #[must_use]
    pub fn into_slots(self, slots: Option<Arc<Pool>>) -> Self {
        Self { slots, ..self }
    }

    fn from_body(body: Body, sizes: SizeLimits) -> Self {
        Self {
            body: Some(body),
            sizes,
            buffers: Pool::new(sizes.tensor),
            slots: None,
            chunk: Bytes::new(),
            state: ReceiveState::default(),
        }
    }

    /// Receives the next message; `None` after the last one. Nothing follows an error. Cancel safe.
    ///
    /// # Errors
    ///
    /// The status of the server, or the error of the connection.
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

    /// Consumes received bytes up to the end of a message; returns the message if it is complete.
    fn advance(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        while !self.chunk.is_empty() {
            let complete = match &mut self.state {
                ReceiveState::Fields { .. } => self.take_fields()?,
                ReceiveState::Tensor {
                    buffer,
                    filled,
                    length,
                    checksum,
                    ..
                } => {
                    let count = self.chunk.len().min(*length - *filled);
                    let arrived = self.chunk.split_to(count);
                    checksum.update_and_copy(&arrived, &mut buffer[*filled..*filled + count]);
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

    /// Consumes bytes of a message up to its tensor.
    fn take_fields(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        let ReceiveState::Fields { length, bytes } = &mut self.state else {
            unreachable!("fields are being received")
        };
        let whole = length.unwrap_or(PREFIX);
        let count = self.chunk.len().min(whole - bytes.len());
        bytes.put(self.chunk.split_to(count));
        let Some(length) = *length else {
            if bytes.len() == PREFIX {
                self.begin()?;
            }
            // An empty message is complete with its prefix.
            return self.decode_whole();
        };
        match find(bytes, length) {
            TensorSearch::Tensor { fields, key, first } if length - first <= self.sizes.tensor => {
                let batch = Batch::decode(&bytes[fields..key]).map_err(|error| malformed(&error))?;
                let mut buffer = slot_or_buffer(self.slots.as_ref(), &self.buffers);
                let filled = bytes.len() - first;
                buffer[..filled].copy_from_slice(&bytes[first..]);
                let length = length - first;
                let mut checksum = Box::new(Crc32c::new());
                checksum.update(&buffer[..filled]);
                self.state = ReceiveState::Tensor {
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

    /// Parses the prefix of a message.
    fn begin(&mut self) -> Result<(), Status> {
        let ReceiveState::Fields { length, bytes } = &mut self.state else {
            unreachable!("a prefix is being received")
        };
        if bytes.get_u8() != 0 {
            return Err(Status::internal(
                "received a compressed message: compression was not requested",
            ));
        }
        let announced = bytes.get_u32() as usize;
        let limit = self.sizes.message;
        if announced > limit {
            let message = format!("a message of {announced} bytes exceeds the limit of {limit} bytes");
            return Err(Status::out_of_range(message));
        }
        *length = Some(announced);
        Ok(())
    }

    /// Decodes a message that is buffered completely, and resets the state for the next one.
    fn decode_whole(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        match mem::take(&mut self.state) {
            ReceiveState::Fields {
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

    /// Returns the batch whose tensor is complete, after checking the tensor's CRC.
    fn finish(&mut self) -> Result<StreamBatchesResponse, Status> {
        let ReceiveState::Tensor {
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

    /// The status at the end of the stream.
    fn end(&self, trailers: &HeaderMap) -> Result<(), Status> {
        let status = Status::from_header_map(trailers)
            .unwrap_or_else(|| Status::unknown("the stream ended without a status"));
        if status.code() != tonic::Code::Ok {
            return Err(status);
        }
        match &self.state {
            ReceiveState::Fields { length: None, bytes } if bytes.is_empty() => Ok(()),
            _ => Err(Status::internal("the stream ended within a message")),
        }
    }
}

/// A free slot, or else a buffer.
pub(super) fn slot_or_buffer(slots: Option<&Arc<Pool>>, buffers: &Arc<Pool>) -> PooledBuffer {
    let slot = slots.and_then(Pool::take);
    slot.unwrap_or_else(|| buffers.take().expect("the pool has no bound"))
}

fn malformed(error: &prost::DecodeError) -> Status {
    Status::internal(format!("cannot decode a message: {error}"))
}

#[cfg(test)]
mod tests;

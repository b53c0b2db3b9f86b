//! The body of a stream's response, without a copy of its tensors.
//!
//! On the wire this is plain gRPC. What is different from the generated code is that a message is not first assembled in one buffer: its
//! beginning and its tensor, which is the last field of a batch for this reason, go to HTTP/2 as two pieces, and the second one is the
//! batch's own buffer.

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use equibatch_proto::v1::{Batch, StreamBatchesResponse, stream_batches_response::Message as Kind};
use http::HeaderMap;
use http_body::{Body, Frame};
use prost::{Message as _, encode_length_delimiter, length_delimiter_len};
use tokio_stream::Stream as _;
use tonic::{Code, Status};

use super::responses::Responses;

/// Key of `StreamBatchesResponse.batch`: field 2, length-delimited.
const BATCH_KEY: u8 = (2 << 3) | 2;
/// Key of `Batch.tensor`: field 15, length-delimited.
const TENSOR_KEY: u8 = (15 << 3) | 2;
/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The frames of a stream's response.
#[derive(Debug)]
pub(super) struct Frames {
    /// `None` when the trailers are out.
    responses: Option<Responses>,
    /// The second piece of the message whose first piece went last.
    tensor: Option<Bytes>,
}

impl Frames {
    /// Sends `responses`.
    pub(super) fn new(responses: Responses) -> Self {
        Self {
            responses: Some(responses),
            tensor: None,
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(tensor) = self.tensor.take() {
            return Poll::Ready(Some(Ok(Frame::data(tensor))));
        }
        let Some(responses) = &mut self.responses else {
            return Poll::Ready(None);
        };
        let end = match ready!(Pin::new(responses).poll_next(context)) {
            Some(Ok(response)) => {
                let (head, tensor) = pieces(response);
                self.tensor = tensor;
                return Poll::Ready(Some(Ok(Frame::data(head))));
            }
            Some(Err(status)) => status,
            None => Status::new(Code::Ok, ""),
        };
        self.responses = None;
        let mut trailers = HeaderMap::new();
        end.add_header(&mut trailers)
            .expect("a status of ours has no metadata and an encodable message");
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

/// A message with its prefix: everything up to the bytes of the tensor, and the tensor, where there is one.
fn pieces(mut response: StreamBatchesResponse) -> (Bytes, Option<Bytes>) {
    if let Some(Kind::Batch(batch)) = &mut response.message
        && !batch.tensor.is_empty()
    {
        let tensor = mem::take(&mut batch.tensor);
        return (batch_head(batch, tensor.len()), Some(tensor));
    }
    let length = response.encoded_len();
    let mut head = prefixed(length, length);
    response.encode(&mut head).expect("the buffer grows");
    (head.freeze(), None)
}

/// The message of `batch` up to the bytes of a tensor of `tensor` bytes.
fn batch_head(batch: &Batch, tensor: usize) -> Bytes {
    let rest = batch.encoded_len();
    let inner = rest + 1 + length_delimiter_len(tensor) + tensor;
    let length = 1 + length_delimiter_len(inner) + inner;
    let mut head = prefixed(length, length - tensor);
    head.put_u8(BATCH_KEY);
    encode_length_delimiter(inner, &mut head).expect("the buffer grows");
    batch.encode(&mut head).expect("the buffer grows");
    head.put_u8(TENSOR_KEY);
    encode_length_delimiter(tensor, &mut head).expect("the buffer grows");
    head.freeze()
}

/// A buffer for `capacity` bytes that begins with the prefix of an uncompressed message of `length` bytes.
fn prefixed(length: usize, capacity: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(PREFIX + capacity);
    buffer.put_u8(0);
    buffer.put_u32(u32::try_from(length).expect("the limit on a batch's bytes leaves room for 32 bits"));
    buffer
}

#[cfg(test)]
mod tests {
    use equibatch_proto::v1::{PositionToken, Replacement, StreamDescription};

    use super::*;

    fn assert_as_generated(message: Kind) {
        let response = StreamBatchesResponse {
            message: Some(message),
        };
        let encoded = response.encode_to_vec();
        let (head, tensor) = pieces(response);
        let whole = [&head[..], tensor.as_deref().unwrap_or_default()].concat();
        assert_eq!(whole[0], 0, "not compressed");
        assert_eq!(whole[1..5], (encoded.len() as u32).to_be_bytes());
        assert_eq!(whole[5..], encoded);
    }

    #[test]
    fn pieces_make_the_message_that_the_generated_code_makes() {
        assert_as_generated(Kind::Description(StreamDescription {
            epochs: 3,
            ..StreamDescription::default()
        }));
        for tensor in [0, 1, 127, 128, 70_000] {
            assert_as_generated(Kind::Batch(Batch {
                epoch: 300,
                step: 7,
                next: Some(PositionToken {
                    seed: u64::MAX,
                    ..PositionToken::default()
                }),
                labels: (0..200).collect(),
                sample_ids: (1000..1200).collect(),
                replacements: vec![Replacement {
                    slot: 1,
                    broken_sample_id: 2,
                }],
                tensor: vec![9; tensor].into(),
            }));
        }
        assert_as_generated(Kind::Batch(Batch::default()));
    }
}

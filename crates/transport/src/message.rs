//! The encoding of messages: the gRPC prefix, and batches whose tensor is sent apart from their other fields.

use bytes::{BufMut as _, Bytes, BytesMut};
use equibatch_proto::v1::Batch;
use prost::{Message, encode_length_delimiter, length_delimiter_len};

/// Length of the gRPC message prefix: the compression flag and the message length.
pub const PREFIX: usize = 5;

/// Key of `StreamBatchesResponse.batch`: field 2, length-delimited.
pub(crate) const BATCH_KEY: u8 = (2 << 3) | 2;
/// Key of `Batch.tensor`: field 15, length-delimited.
pub(crate) const TENSOR_KEY: u8 = (15 << 3) | 2;

/// `message`, uncompressed, with its prefix.
#[must_use]
pub fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut encoded = prefixed(length, length);
    message.encode(&mut encoded).expect("the buffer grows");
    encoded.freeze()
}

/// The message with `batch`, whose `tensor` must be empty, up to the first of the `tensor` bytes of its tensor, which the caller sends next:
/// the tensor is the last field, so that it need not be copied behind the others.
#[must_use]
pub fn encode_batch_head(batch: &Batch, tensor: usize) -> Bytes {
    let fields = batch.encoded_len();
    let tensor_field = match tensor {
        0 => 0,
        _ => 1 + length_delimiter_len(tensor) + tensor,
    };
    let inner = fields + tensor_field;
    let length = 1 + length_delimiter_len(inner) + inner;
    let mut head = prefixed(length, length - tensor);
    head.put_u8(BATCH_KEY);
    encode_length_delimiter(inner, &mut head).expect("the buffer grows");
    batch.encode(&mut head).expect("the buffer grows");
    if tensor > 0 {
        head.put_u8(TENSOR_KEY);
        encode_length_delimiter(tensor, &mut head).expect("the buffer grows");
    }
    head.freeze()
}

/// A buffer for `capacity` bytes of a message of `length` bytes, after its prefix.
fn prefixed(length: usize, capacity: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(PREFIX + capacity);
    buffer.put_u8(0);
    buffer.put_u32(u32::try_from(length).expect("the limit on a batch's bytes leaves room for 32 bits"));
    buffer
}

#[cfg(test)]
pub(crate) mod tests {
    use equibatch_proto::v1::{
        PositionToken, Replacement, StreamBatchesResponse, stream_batches_response::Message as Kind,
    };

    use super::*;

    /// A batch with all fields that a sent one has, and a tensor of `tensor` bytes.
    pub(crate) fn batch(tensor: usize) -> Batch {
        Batch {
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
            mixed_labels: (3..203).collect(),
            mixed_weights: vec![0.25; 200],
            tensor_crc32c: Some(4),
            tensor: vec![9; tensor].into(),
            ..Batch::default()
        }
    }

    fn assert_as_generated(batch: Batch) {
        let response = StreamBatchesResponse {
            message: Some(Kind::Batch(batch.clone())),
        };
        let tensor = batch.tensor.clone();
        let fields = Batch {
            tensor: Bytes::new(),
            ..batch
        };
        let sent = [&encode_batch_head(&fields, tensor.len())[..], &tensor].concat();
        let generated = response.encode_to_vec();
        assert_eq!(sent[0], 0, "not compressed");
        assert_eq!(sent[1..PREFIX], (generated.len() as u32).to_be_bytes());
        assert_eq!(sent[PREFIX..], generated);
        assert_eq!(encode(&response)[..], sent);
    }

    #[test]
    fn the_encoding_equals_that_of_the_generated_code() {
        for tensor in [0, 1, 127, 128, 70_000] {
            assert_as_generated(batch(tensor));
        }
        assert_as_generated(Batch::default());
    }
}

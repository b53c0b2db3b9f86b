//! Finds the tensor in an encoded batch.

use super::message::{BATCH_KEY, TENSOR_KEY};

/// The result of looking at the beginning of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TensorSearch {
    /// The tensor is the last field of the message.
    Tensor {
        /// Offset of the first field of the batch.
        fields: usize,
        /// Offset of the tensor's key, where the other fields end.
        key: usize,
        /// Offset of the tensor's first byte.
        first: usize,
    },
    /// There is no tensor, or it is not the last field.
    Absent,
    /// More bytes are needed to tell.
    Incomplete,
}

/// Looks for the tensor in the first bytes of a message of `length` bytes.
pub(super) fn find(head: &[u8], length: usize) -> TensorSearch {
    let mut cursor = Cursor { head, length, at: 0 };
    match cursor.search() {
        Ok(found) => found,
        Err(Stop::Malformed) => TensorSearch::Absent,
        Err(Stop::Exhausted) => TensorSearch::Incomplete,
    }
}

/// Why the search ends.
enum Stop {
    /// More bytes are needed.
    Exhausted,
    /// The message is malformed, or of another type.
    Malformed,
}

struct Cursor<'a> {
    head: &'a [u8],
    length: usize,
    at: usize,
}

impl Cursor<'_> {
    fn search(&mut self) -> Result<TensorSearch, Stop> {
        let (key, end) = (self.number()?, self.delimited()?);
        if key != BATCH_KEY.into() || end != self.length {
            return Ok(TensorSearch::Absent);
        }
        let fields = self.at;
        while self.at < self.length {
            let field = self.at;
            let key = self.number()?;
            if key == TENSOR_KEY.into() {
                let end = self.delimited()?;
                let (key, first) = (field, self.at);
                let tensor = TensorSearch::Tensor { fields, key, first };
                return Ok(if end == self.length {
                    tensor
                } else {
                    TensorSearch::Absent
                });
            }
            self.skip(key & 7)?;
        }
        Ok(TensorSearch::Absent)
    }

    /// Skips the value of a field of this wire type.
    fn skip(&mut self, wire_type: u64) -> Result<(), Stop> {
        self.at = match wire_type {
            0 => {
                self.number()?;
                self.at
            }
            1 => self.at + 8,
            2 => self.delimited()?,
            5 => self.at + 4,
            _ => return Err(Stop::Malformed),
        };
        Ok(())
    }

    /// Reads a length; returns the offset at which that many bytes end.
    fn delimited(&mut self) -> Result<usize, Stop> {
        let length = usize::try_from(self.number()?).map_err(|_| Stop::Malformed)?;
        let end = self.at.checked_add(length).filter(|&end| end <= self.length);
        end.ok_or(Stop::Malformed)
    }

    /// Reads a varint.
    fn number(&mut self) -> Result<u64, Stop> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.head.get(self.at).ok_or(Stop::Exhausted)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Stop::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use equibatch_proto::v1::{
        Batch, StreamBatchesResponse, StreamDescription, stream_batches_response::Message as Kind,
    };
    use prost::Message as _;

    use super::*;
    use crate::message::tests::batch;

    fn encoded(message: Kind) -> Vec<u8> {
        StreamBatchesResponse {
            message: Some(message),
        }
        .encode_to_vec()
    }

    #[test]
    fn the_tensor_is_found_once_its_first_byte_is_known() {
        for length in [1, 127, 128, 70_000] {
            let batch = batch(length);
            let message = encoded(Kind::Batch(batch.clone()));
            let first = message.len() - length;
            for seen in 0..first {
                assert_eq!(
                    find(&message[..seen], message.len()),
                    TensorSearch::Incomplete,
                    "{seen}"
                );
            }
            let found = find(&message[..first], message.len());
            let TensorSearch::Tensor {
                fields,
                key,
                first: at,
            } = found
            else {
                panic!("{found:?}")
            };
            assert_eq!(at, first);
            let rest = Batch::decode(&message[fields..key]).expect("the other fields");
            assert_eq!(
                rest,
                Batch {
                    tensor: bytes::Bytes::new(),
                    ..batch
                }
            );
        }
    }

    #[test]
    fn messages_not_ending_with_a_tensor_have_none() {
        let description = encoded(Kind::Description(StreamDescription::default()));
        let empty = encoded(Kind::Batch(Batch::default()));
        let without = encoded(Kind::Batch(batch(0)));
        // A field after the tensor, and one after the batch.
        let mut followed = batch(10).encode_to_vec();
        followed.extend([8, 1]);
        let mut inside = vec![18, u8::try_from(followed.len() & 0x7f).expect("7 bits") | 0x80];
        inside.push(u8::try_from(followed.len() >> 7).expect("few bytes"));
        inside.extend(&followed);
        let mut outside = encoded(Kind::Batch(batch(10)));
        outside.extend([8, 1]);
        for message in [description, empty, without, inside, outside] {
            assert_eq!(find(&message, message.len()), TensorSearch::Absent, "{message:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn offsets_are_in_order_and_in_bounds_for_any_bytes(
            head in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            more in 0_usize..100,
        ) {
            let length = head.len() + more;
            if let TensorSearch::Tensor { fields, key, first } = find(&head, length) {
                assert!(fields <= key && key < first && first <= head.len());
            }
        }
    }
}

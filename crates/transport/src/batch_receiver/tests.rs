//! Messages are received as sent, however they are split into frames.

use equibatch_proto::v1::StreamDescription;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::prelude::*;
use tonic::Code;

use super::*;
use crate::message::encode;
use equibatch_engine::{checksum::crc32c, memory::ALIGNMENT};

const SIZES: SizeLimits = SizeLimits {
    tensor: 1000,
    message: 2000,
};

fn batch(step: u64, tensor: usize) -> Kind {
    let tensor: Bytes = (0..tensor).map(|index| index as u8).collect();
    Kind::Batch(Batch {
        step,
        labels: vec![1, 2],
        // Older servers send no CRC.
        tensor_crc32c: step.is_multiple_of(2).then(|| crc32c(&tensor)),
        tensor,
        ..Batch::default()
    })
}

/// A message with its gRPC prefix.
fn framed(message: Kind) -> Vec<u8> {
    let message = Some(message);
    encode(&StreamBatchesResponse { message }).to_vec()
}

fn status(code: Code) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    Status::new(code, "why")
        .add_header(&mut trailers)
        .expect("a plain message");
    trailers
}

/// Receives `bytes`, split at `cuts`, followed by the trailers `end`.
fn received(bytes: &[u8], cuts: &[usize], end: Option<HeaderMap>) -> (Vec<Kind>, Result<(), Status>) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let frames = cuts
        .windows(2)
        .map(|ends| Frame::data(Bytes::copy_from_slice(&bytes[ends[0]..ends[1]])));
    let frames: Vec<_> = frames
        .chain(end.map(Frame::trailers))
        .map(Ok::<_, Status>)
        .collect();
    let mut receiver =
        BatchReceiver::from_body(Body::new(StreamBody::new(tokio_stream::iter(frames))), SIZES);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut all = vec![];
        loop {
            match receiver.message().await {
                Ok(Some(message)) => all.push(message.message.expect("a kind")),
                Ok(None) => return (all, Ok(())),
                Err(error) => {
                    assert!(
                        matches!(receiver.message().await, Ok(None)),
                        "nothing follows an error"
                    );
                    return (all, Err(error));
                }
            }
        }
    })
}

proptest! {
    #[test]
    fn messages_are_received_whole_for_any_chunking(
        sizes in prop::collection::vec(0_usize..1100, 0..5),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut sent = vec![Kind::Description(StreamDescription { epochs: 3, ..StreamDescription::default() })];
        sent.extend((0..).zip(&sizes).map(|(step, &tensor)| batch(step, tensor)));
        let bytes: Vec<u8> = sent.iter().cloned().flat_map(framed).collect();
        let (all, end) = received(&bytes, &cuts, Some(status(Code::Ok)));
        prop_assert_eq!(&all, &sent);
        prop_assert!(end.is_ok());
        for message in all {
            if let Kind::Batch(batch) = message && (1..=SIZES.tensor).contains(&batch.tensor.len()) {
                prop_assert_eq!(batch.tensor.as_ptr().align_offset(ALIGNMENT), 0);
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_detected() {
    let sent = framed(batch(4, 1000));
    let tensor = sent.len() - 1000;
    for at in [tensor, tensor + 1, tensor + 500, sent.len() - 1] {
        for cut in [tensor + 1, tensor + 400] {
            let mut bytes = sent.clone();
            bytes[at] ^= 0x10;
            let (all, end) = received(&bytes, &[cut], Some(status(Code::Ok)));
            let error = end.expect_err("damaged");
            assert!(all.is_empty());
            assert!(error.message().contains("step 5 was damaged"), "{error}");
        }
    }
}

#[test]
fn a_buffer_is_reused_once_unreferenced() {
    let bytes: Vec<u8> = (0..3).flat_map(|step| framed(batch(step, 1000))).collect();
    let frames = vec![Ok::<_, Status>(Frame::data(Bytes::from(bytes)))];
    let mut receiver =
        BatchReceiver::from_body(Body::new(StreamBody::new(tokio_stream::iter(frames))), SIZES);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut next = || match runtime.block_on(receiver.message()) {
        Ok(Some(StreamBatchesResponse {
            message: Some(Kind::Batch(batch)),
        })) => batch.tensor,
        other => panic!("{other:?}"),
    };
    let first = next();
    let address = first.as_ptr();
    let second = next();
    assert_ne!(second.as_ptr(), address, "the first is still in use");
    drop(first);
    assert_eq!(next().as_ptr(), address);
}

#[test]
fn the_end_of_a_stream_gives_its_status() {
    let whole = framed(batch(0, 100));
    let half = &whole[..whole.len() - 1];
    for (bytes, end, receiver, code) in [
        (&whole[..], Some(Code::Ok), 1, Code::Ok),
        (&whole, Some(Code::DataLoss), 1, Code::DataLoss),
        (&whole, None, 1, Code::Unknown),
        (half, Some(Code::Unavailable), 0, Code::Unavailable),
        (half, Some(Code::Ok), 0, Code::Internal),
        (&whole[..3], Some(Code::Ok), 0, Code::Internal),
        (&[], Some(Code::Ok), 0, Code::Ok),
    ] {
        let (all, ended) = received(bytes, &[50, 60], end.map(status));
        assert_eq!(all.len(), receiver);
        assert_eq!(
            ended.map_or_else(|status| status.code(), |()| Code::Ok),
            code,
            "{end:?}"
        );
    }
}

#[test]
fn compressed_oversized_and_malformed_messages_are_refused() {
    let compressed = [&[1], &framed(batch(0, 10))[1..]].concat();
    let too_long = framed(batch(0, 2000));
    let no_message = vec![0, 0, 0, 0, 1, 7];
    for (bytes, code) in [
        (compressed, Code::Internal),
        (too_long, Code::OutOfRange),
        (no_message, Code::Internal),
    ] {
        let (all, end) = received(&bytes, &[2, 9], Some(status(Code::Ok)));
        assert_eq!((all.len(), end.expect_err("refused").code()), (0, code));
    }
}

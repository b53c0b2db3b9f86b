//! Messages of the shared-memory protocol, written by the test, including invalid ones.

use equibatch_harness::{
    process::ServerProcess,
    receive::{receive as received, small},
    wait::{eventually_async, within},
};
use equibatch_proto::v1::{
    OpenSharedBatches, Release, StreamBatchesResponse, StreamSharedBatchesRequest,
    batch_loader_client::BatchLoaderClient, stream_batches_response::Message as Kind,
    stream_shared_batches_request::Message,
};
use equibatch_transport as receive;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Endpoint};

use super::{mapped, pictures, serve, wait_for_nothing_mapped};

type Requests = mpsc::Sender<StreamSharedBatchesRequest>;

/// A stream whose messages the test writes. The passed descriptor must be received, although it is not used: a tokio connection
/// takes a short read after it for an empty socket and waits for more data.
async fn by_hand(
    server: &ServerProcess,
    first: Message,
) -> (Requests, Result<Streaming<StreamBatchesResponse>, Status>) {
    let path = server.address.strip_prefix("unix:").unwrap();
    let endpoint = Endpoint::from_static("http://localhost");
    let (channel, _file) = receive::connect(&endpoint, path.into()).await.unwrap();
    let mut client = BatchLoaderClient::new(channel);
    let (requests, messages) = mpsc::channel(8);
    requests.send(request(first)).await.unwrap();
    let answer = client.stream_shared_batches(ReceiverStream::new(messages)).await;
    (requests, answer.map(tonic::Response::into_inner))
}

fn request(message: Message) -> StreamSharedBatchesRequest {
    StreamSharedBatchesRequest {
        message: Some(message),
    }
}

fn open_by_hand(held: u32) -> Message {
    Message::Open(OpenSharedBatches {
        batches: Some(small("train", 1000)),
        held,
    })
}

/// The location of the next batch.
async fn next_offset(stream: &mut Streaming<StreamBatchesResponse>) -> Result<u64, Status> {
    loop {
        let message = within("the next batch comes", stream.message()).await?;
        match message.and_then(|response| response.message) {
            Some(Kind::Description(description)) => assert!(description.memory.is_some()),
            Some(Kind::Batch(batch)) => {
                assert!(batch.tensor.is_empty());
                return Ok(batch.in_memory.unwrap().offset);
            }
            None => panic!("an end"),
        }
    }
}

#[tokio::test]
async fn an_invalid_release_ends_only_its_stream() {
    let images = pictures();
    let (server, _folder) = serve(&images, &[]);
    // A release of an unknown buffer, a double release, and a second first message.
    for trouble in ["unknown", "twice", "open"] {
        let (requests, stream) = by_hand(&server, open_by_hand(1)).await;
        let mut stream = stream.unwrap();
        let offset = next_offset(&mut stream).await.unwrap();
        let messages = match trouble {
            "unknown" => vec![Message::Release(Release { offset: offset + 1 })],
            "twice" => vec![Message::Release(Release { offset }); 2],
            _ => vec![open_by_hand(1)],
        };
        for message in messages {
            requests.send(request(message)).await.unwrap();
        }
        let status = eventually_async("the stream fails", async || {
            match next_offset(&mut stream).await {
                // Between two releases, the buffer may have been leased again.
                Ok(next) if trouble == "twice" => {
                    let release = Message::Release(Release { offset: next + 1 });
                    let _it_may_be_over = requests.send(request(release)).await;
                    None
                }
                Ok(_) => None,
                Err(status) => Some(status),
            }
        })
        .await;
        assert_eq!(status.code(), Code::InvalidArgument, "{trouble}: {status}");
    }
    assert!(
        received(&mut server.client().await, small("train", 1))
            .await
            .is_ok()
    );
    wait_for_nothing_mapped(server.id());
}

#[tokio::test]
async fn invalid_first_messages_are_refused() {
    let images = pictures();
    let (server, _folder) = serve(&images, &[]);
    let nothing = Message::Open(OpenSharedBatches::default());
    for first in [Message::Release(Release { offset: 0 }), nothing] {
        let (_requests, stream) = by_hand(&server, first).await;
        let status = match stream {
            Err(status) => status,
            Ok(mut stream) => next_offset(&mut stream).await.unwrap_err(),
        };
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    // A request above the limit is reduced to it.
    let (_requests, stream) = by_hand(&server, open_by_hand(u32::MAX)).await;
    next_offset(&mut stream.unwrap()).await.unwrap();
    let bytes: u64 = mapped(server.id()).iter().sum();
    assert!(bytes <= 64 * 80 * 1024, "{bytes} bytes");
}

#[tokio::test]
async fn tcp_connections_get_no_shared_memory() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let mut client = server.client().await;
    let messages = tokio_stream::iter([request(open_by_hand(1))]);
    let status = client.stream_shared_batches(messages).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
}

#[tokio::test]
async fn a_reader_that_holds_everything_for_too_long_loses_its_stream() {
    let images = pictures();
    let (server, _folder) = serve(&images, &["--reader-timeout", "1"]);
    let (_requests, stream) = by_hand(&server, open_by_hand(2)).await;
    let mut stream = stream.unwrap();
    let failure = async || next_offset(&mut stream).await.err();
    let status = eventually_async("the stream fails", failure).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    wait_for_nothing_mapped(server.id());
}

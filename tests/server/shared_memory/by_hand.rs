//! Messages that no client of ours sends.

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

/// A stream whose messages are made by hand. The file that comes along is not looked at, but it has to be taken: a connection of tokio's own
/// would take the end of a read behind it for the end of what there is, and not read on before more comes.
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

/// Where the next batch lies.
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
async fn a_reader_that_returns_what_it_has_not_got_loses_its_stream_only() {
    let images = pictures();
    let (server, _folder) = serve(&images, &[]);
    // What was never lent, what is returned twice, and a second beginning.
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
        let status = eventually_async("the stream is broken off", async || {
            match next_offset(&mut stream).await {
                // Returned twice, it may have been lent again between.
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
async fn senseless_beginnings_are_refused() {
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
    // More than there may be is less than was asked for.
    let (_requests, stream) = by_hand(&server, open_by_hand(u32::MAX)).await;
    next_offset(&mut stream.unwrap()).await.unwrap();
    let bytes: u64 = mapped(server.id()).iter().sum();
    assert!(bytes <= 64 * 80 * 1024, "{bytes} bytes");
}

#[tokio::test]
async fn a_port_shares_no_memory() {
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
    let status = eventually_async("the stream is broken off", failure).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    wait_for_nothing_mapped(server.id());
}

//! What one owner of a token may do to another, and files of tokens that are torn.

use std::{fs, fs::File};

use equibatch_harness::{process::ServerProcess, receive::small, wait::eventually};
use equibatch_proto::v1::{
    ListDatasetsRequest, ReportEpochRequest, StreamBatchesRequest, batch_loader_client::BatchLoaderClient,
    stream_batches_response::Message,
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use super::pictures;

const FIRST: &str = "correct-horse-battery-staple";
const SECOND: &str = "another-token-of-some-length";

#[derive(Clone)]
struct Token(&'static str);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = MetadataValue::try_from(format!("Bearer {}", self.0)).unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

async fn client(
    server: &ServerProcess,
    token: &'static str,
) -> BatchLoaderClient<InterceptedService<Channel, Token>> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let channel = endpoint.connect().await.unwrap();
    BatchLoaderClient::with_interceptor(channel, Token(token)).max_decoding_message_size(usize::MAX)
}

#[tokio::test]
async fn nobody_reports_on_the_streams_of_others() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, format!("{FIRST} first\n{SECOND} second\n")).unwrap();
    let server = ServerProcess::start(images.root(), &["--tokens", tokens.to_str().unwrap()]);
    let (mut first, mut second) = (client(&server, FIRST).await, client(&server, SECOND).await);
    let request = StreamBatchesRequest {
        reports: true,
        ..small("train", 2)
    };
    let mut stream = first.stream_batches(request).await.unwrap().into_inner();
    let mut id = None;
    while let Some(response) = stream.message().await.unwrap() {
        if let Some(Message::Description(description)) = response.message {
            id = Some(description.stream_id);
        }
    }
    let report = ReportEpochRequest {
        stream_id: id.unwrap(),
        epoch: 0,
        steps: 3,
        working_seconds: 1.0,
        waiting_seconds: 0.5,
    };
    let status = second.report_epoch(report.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(
        first.report_epoch(report).await.is_ok(),
        "it is still to be reported"
    );
}

#[tokio::test]
async fn an_error_repeats_no_more_than_the_beginning() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let request = StreamBatchesRequest {
        dataset: "x".repeat(60_000),
        ..small("train", 1)
    };
    let mut plain = server.client().await;
    let status = plain.stream_batches(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().len() < 1100, "{}", status.message().len());
    let mut request = Request::new(ListDatasetsRequest {});
    let value = MetadataValue::try_from("y".repeat(4000)).unwrap();
    request.metadata_mut().insert("grpc-encoding", value);
    let status = plain.list_datasets(request).await.unwrap_err();
    assert!(status.message().len() < 1100, "{}", status.message().len());
}

#[tokio::test]
async fn a_file_of_tokens_that_is_emptied_withdraws_none() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (tokens, log) = (folder.path().join("tokens"), folder.path().join("log"));
    fs::write(&tokens, format!("{FIRST} first\n")).unwrap();
    let options = ["--listen", ":0", "--tokens", tokens.to_str().unwrap()];
    let server = ServerProcess::logging(File::create(&log).unwrap(), images.root(), &options);
    let mut first = client(&server, FIRST).await;
    let mut stream = first
        .stream_batches(small("train", 1_000_000))
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    fs::write(&tokens, "").unwrap();
    eventually("the log says so", || {
        let log = fs::read_to_string(&log).unwrap();
        log.contains("the earlier ones stay in force").then_some(())
    });
    assert!(stream.message().await.unwrap().is_some());
    assert!(first.list_datasets(ListDatasetsRequest {}).await.is_ok());
}

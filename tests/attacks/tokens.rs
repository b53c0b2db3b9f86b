//! Token owners who try to affect one another, and truncated token files.

use std::fs;

use equibatch_harness::{
    files::written,
    process::{ServerProcess, text},
    receive::{endless, small},
};
use equibatch_proto::v1::{
    ListDatasetsRequest, ReportEpochRequest, StreamBatchesRequest, stream_batches_response::Message,
};
use tonic::{Code, Request, metadata::MetadataValue};

use super::pictures;

const FIRST: &str = "correct-horse-battery-staple";
const SECOND: &str = "another-token-of-some-length";

#[tokio::test]
async fn a_client_cannot_report_on_streams_of_another() {
    let images = pictures();
    let tokens = written(&format!("{FIRST} first\n{SECOND} second\n"));
    let server = ServerProcess::start(images.root(), &["--tokens", text(&tokens)]);
    let (mut first, mut second) = (
        server.client_with_token(FIRST).await,
        server.client_with_token(SECOND).await,
    );
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
        "the report is still open"
    );
}

#[tokio::test]
async fn errors_truncate_the_values_that_they_quote() {
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
async fn an_emptied_token_file_revokes_no_token() {
    let images = pictures();
    let tokens = written(&format!("{FIRST} first\n"));
    let options = ["--listen", ":0", "--tokens", text(&tokens)];
    let (server, log) = ServerProcess::with_log(images.root(), &options);
    let mut first = server.client_with_token(FIRST).await;
    let mut stream = endless(&mut first).await;
    fs::write(&tokens, "").unwrap();
    log.wait_for("the earlier ones stay in force").await;
    assert!(stream.message().await.unwrap().is_some());
    assert!(first.list_datasets(ListDatasetsRequest {}).await.is_ok());
}

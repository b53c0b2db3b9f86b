//! A log that is not read.

use std::process::Stdio;

use equibatch_harness::{
    process::ServerProcess,
    receive::{receive, small},
    wait::within,
};
use equibatch_proto::v1::ListDatasetsRequest;

use super::pictures;

#[tokio::test]
async fn an_unread_log_blocks_no_stream() {
    let images = pictures();
    let options = ["--listen", ":0", "--log", "trace"];
    // A pipe of 64 KiB that is never read.
    let mut server = ServerProcess::logging(Stdio::piped(), images.root(), &options);
    let mut client = server.client().await;
    let work = async {
        for _ in 0..20 {
            let received = receive(&mut client, small("valid", 1)).await;
            assert!(!received.unwrap().batches.is_empty());
            client.list_datasets(ListDatasetsRequest {}).await.unwrap();
        }
    };
    within("the server answers", work).await;
    server.terminate();
    assert_eq!(server.wait().code(), Some(0), "the server stops");
}

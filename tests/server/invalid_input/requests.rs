//! Invalid requests for streams and descriptions.

use equibatch_harness::receive::{receive, small};
use equibatch_proto::v1::DescribeDatasetRequest;
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use tonic::Code::{InvalidArgument, NotFound};

use super::{cases::CASES, pictures};

#[tokio::test]
async fn invalid_requests_are_refused_with_field_value_and_range() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let mut client = server.client().await;
    for (index, (change, code, words)) in CASES.iter().enumerate() {
        let mut request = small("train", 2);
        change(&mut request);
        let status = receive(&mut client, request).await.unwrap_err();
        assert_eq!(status.code(), *code, "case {index}: {status}");
        for word in *words {
            assert!(
                status.message().contains(word),
                "case {index}: {word:?} is not in {:?}",
                status.message()
            );
        }
    }
    assert_eq!(server.engine.open_streams(), 0);
    receive(&mut client, small("train", 1)).await.unwrap();
}

#[tokio::test]
async fn a_token_of_another_seed_is_refused_by_name() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let mut client = server.client().await;
    let first = receive(&mut client, small("train", 1)).await.unwrap();
    let mut request = small("train", 1);
    (request.seed, request.start) = (8, first.batches[0].next.clone());
    let status = receive(&mut client, request).await.unwrap_err();
    assert_eq!(status.code(), InvalidArgument);
    assert!(status.message().contains("start.seed is 7"), "{status}");
    // The last token is the end of the stream: no batch is left, which is no error.
    let mut request = small("train", 1);
    request.start = first.batches.last().unwrap().next.clone();
    assert!(receive(&mut client, request).await.unwrap().batches.is_empty());
}

#[tokio::test]
async fn descriptions_of_unknown_datasets_and_samples_are_refused() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let mut client = server.client().await;
    let request = DescribeDatasetRequest {
        dataset: "cats".into(),
        ..DescribeDatasetRequest::default()
    };
    assert_eq!(
        client.describe_dataset(request).await.unwrap_err().code(),
        NotFound
    );
    let request = DescribeDatasetRequest {
        effective_number_beta: Some(1.0),
        ..DescribeDatasetRequest::default()
    };
    let status = client.describe_dataset(request).await.unwrap_err();
    assert_eq!(status.code(), InvalidArgument);
    assert!(status.message().contains("effective_number_beta"), "{status}");
    for sample_ids in [vec![30], vec![u32::MAX], vec![0; 4097]] {
        let request = DescribeDatasetRequest {
            sample_ids,
            ..DescribeDatasetRequest::default()
        };
        let status = client.describe_dataset(request).await.unwrap_err();
        assert_eq!(status.code(), InvalidArgument);
        assert!(status.message().contains("sample_ids"), "{status}");
    }
}

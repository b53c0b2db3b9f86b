//! How a server stops.

use equibatch_harness::{
    images::pictures,
    process::ServerProcess,
    receive::{digest, failure, next, open, receive, small},
    wait::within,
};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use tonic::Code;

#[tokio::test]
async fn sigterm_ends_streams_after_a_whole_batch_and_exits_with_zero() {
    let images = pictures();
    let undisturbed = {
        let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
        receive(&mut server.client().await, small("train", 4))
            .await
            .unwrap()
            .digests()
    };
    let mut server = ServerProcess::start(images.root(), &["--threads", "2"]);
    let mut client = server.client().await;
    let (_description, mut stream) = open(&mut client, small("train", 1_000_000)).await.unwrap();
    let mut received = vec![digest(&next(&mut stream).await.unwrap().unwrap())];
    server.terminate();
    let status = failure(&mut stream, |batch| received.push(digest(&batch))).await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("stopping"), "{status}");
    let common = received.len().min(undisturbed.len());
    assert_eq!(
        received[..common],
        undisturbed[..common],
        "whole batches, in order"
    );
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test]
async fn sigterm_ends_an_idle_server() {
    let images = pictures();
    let mut server = ServerProcess::start(images.root(), &[]);
    let mut client = server.client().await;
    receive(&mut client, small("valid", 1)).await.unwrap();
    server.terminate();
    assert_eq!(
        server.wait().code(),
        Some(0),
        "an open connection does not keep it"
    );
}

#[tokio::test]
async fn an_unread_stream_is_closed_after_the_grace_period() {
    let images = pictures();
    let mut server = ServerProcess::start(images.root(), &["--shutdown-grace", "0"]);
    let mut client = server.client().await;
    let mut request = small("train", 1_000_000);
    (request.batch_size, request.image_size) = (Some(16), Some(224));
    let (_description, unread) = open(&mut client, request).await.unwrap();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    drop(unread);
}

#[tokio::test]
async fn a_stopping_server_reports_not_serving_before_it_exits() {
    let images = pictures();
    let mut server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel().await);
    let request = tonic_health::pb::HealthCheckRequest::default();
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1, "SERVING");
    let mut client = server.client().await;
    let (_description, mut stream) = open(&mut client, small("train", 1_000_000)).await.unwrap();
    server.stop();
    let told = within("the health status changes", watch.message()).await;
    assert_eq!(told.unwrap().unwrap().status, 2, "NOT_SERVING");
    let refused = failure(&mut stream, drop).await;
    assert_eq!(refused.code(), Code::Unavailable);
    let status = receive(&mut client, small("train", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    drop((health, watch, client, stream));
    server.stopped().await;
}

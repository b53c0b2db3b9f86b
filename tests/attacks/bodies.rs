//! Requests that are never finished.

use std::time::Duration;

use equibatch_engine::pipeline::EngineConfig;
use equibatch_harness::{
    frames::{END_HEADERS, HEADERS, PING, connect, frame, headers, is_closed, wait_for},
    hostile::connections::{HEALTH, STREAM, begin, unfinished},
    process::ServerProcess,
    receive::{receive, small},
    wait::within,
};
use equibatch_server::service::ServiceConfig;
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use std::io::Write as _;

use super::pictures;

const LIST: &str = "equibatch.v1.BatchLoader/ListDatasets";

fn code(response: &http::Response<h2::RecvStream>) -> &str {
    response.headers()["grpc-status"].to_str().unwrap()
}

#[tokio::test]
async fn oversized_requests_are_refused_before_they_are_read() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let (requests, connection) = h2::client::handshake(server.pipe().await).await.unwrap();
    tokio::spawn(connection);
    for (method, length) in [
        (HEALTH, 257),
        (HEALTH, 4 << 20),
        (STREAM, (64 << 10) + 1),
        (LIST, 4 << 20),
    ] {
        let (response, _body) = begin(requests.clone(), method, length, 100).await.unwrap();
        let response = within("an answer", response).await.unwrap();
        assert_eq!(code(&response), "8", "{method}: RESOURCE_EXHAUSTED");
    }
}

#[tokio::test]
async fn unfinished_requests_time_out() {
    let images = pictures();
    let service = ServiceConfig {
        handshake_timeout: Duration::from_millis(200),
        ..ServiceConfig::default()
    };
    let server = MemoryServer::start_with(engine(images.root(), config(1, 1 << 26)), service);
    let (requests, connection) = h2::client::handshake(server.pipe().await).await.unwrap();
    tokio::spawn(connection);
    // Half a message, none, and a whole one that may be followed by more.
    for (method, length, bytes) in [
        (HEALTH, 200, 100),
        (STREAM, 200, 100),
        (LIST, 200, 0),
        (LIST, 0, 0),
    ] {
        let (response, _body) = begin(requests.clone(), method, length, bytes).await.unwrap();
        let response = within("an answer", response).await.unwrap();
        assert_eq!(code(&response), "4", "{method}: DEADLINE_EXCEEDED");
    }
    assert!(
        receive(&mut server.client().await, small("valid", 1))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn unfinished_requests_take_bounded_memory() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--preface-timeout", "60"]);
    let mut client = server.client().await;
    assert!(receive(&mut client, small("valid", 1)).await.is_ok());
    let before = server.peak_memory();
    let mut held = vec![];
    for _ in 0..20 {
        let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        // 125 MiB in all.
        held.extend(unfinished(requests, 100).await);
    }
    assert!(receive(&mut client, small("valid", 1)).await.is_ok());
    let grown = server.peak_memory().saturating_sub(before);
    println!("attacks: unfinished requests: {} MiB", grown >> 20);
    assert!(grown < 64 << 20, "{grown} bytes");
    drop(held);
}

#[tokio::test]
async fn unfinished_requests_share_a_memory_budget() {
    let images = pictures();
    let config = EngineConfig {
        // A 32nd of the memory beside the cache: 2 MiB.
        memory_bytes: (1 << 26) + (64 << 20),
        ..config(1, 1 << 26)
    };
    let service = ServiceConfig {
        handshake_timeout: Duration::from_secs(600),
        ..ServiceConfig::default()
    };
    let server = MemoryServer::start_with(engine(images.root(), config), service);
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (requests, connection) = h2::client::handshake(server.pipe().await).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..10 {
            let begun = begin(requests.clone(), STREAM, 64 << 10, (64 << 10) - 1).await;
            let (response, body) = begun.unwrap();
            answers.spawn(async move { (response.await, body) });
        }
    }
    let first = within("a refusal", answers.join_next()).await.unwrap();
    assert_eq!(code(&first.unwrap().0.unwrap()), "8", "RESOURCE_EXHAUSTED");
}

#[test]
fn an_unfinished_request_does_not_keep_its_connection() {
    let images = pictures();
    let options = ["--idle-timeout", "1", "--preface-timeout", "100000"];
    let server = ServerProcess::start(images.root(), &options);
    let mut stream = connect(&server);
    let begun = frame(HEADERS, END_HEADERS, 1, &headers("ListDatasets"));
    stream.write_all(&begun).unwrap();
    assert!(is_closed(stream));
}

#[test]
fn an_unfinished_request_does_not_keep_the_server() {
    let images = pictures();
    let options = ["--shutdown-grace", "100000", "--preface-timeout", "100000"];
    let mut server = ServerProcess::start(images.root(), &options);
    let mut stream = connect(&server);
    let begun = frame(HEADERS, END_HEADERS, 1, &headers("ListDatasets"));
    stream.write_all(&begun).unwrap();
    // The server has read it once it answers the request after it.
    stream.write_all(&frame(PING, 0, 0, &[7; 8])).unwrap();
    wait_for(&mut stream, PING);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

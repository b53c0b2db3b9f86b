//! Limits per client: silent connections, floods, slow readers, too many streams. Some frames are written byte by byte, as no client library sends them.

use std::{
    io::Write as _,
    net::{Shutdown, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use equibatch_harness::{
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, connect, frame, headers, is_closed,
    },
    images::pictures,
    process::ServerProcess,
    receive::{failure, next, open, receive, small},
    wait::{eventually_async, within},
};
use equibatch_proto::v1::{DescribeDatasetRequest, StreamBatchesRequest};
use equibatch_server::service::ServiceConfig;
use equibatch_server_tests::memory::{MemoryServer, config, engine, no_stream_is_open};
use h2::client::SendRequest;
use prost::Message as _;
use tonic::Code;

/// Calls `StreamBatches` without a gRPC library, which would read ahead.
async fn stream_batches(
    requests: &mut SendRequest<Bytes>,
    request: &StreamBatchesRequest,
) -> http::Response<h2::RecvStream> {
    let call = http::Request::post("http://localhost/equibatch.v1.BatchLoader/StreamBatches")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, mut body) = requests.send_request(call, false).unwrap();
    let request = request.encode_to_vec();
    let mut message = vec![0];
    message.extend((request.len() as u32).to_be_bytes());
    message.extend(request);
    body.send_data(message.into(), true).unwrap();
    response.await.unwrap()
}

async fn assert_serves(server: &ServerProcess) {
    let received = receive(&mut server.client().await, small("valid", 1))
        .await
        .unwrap();
    assert!(!received.batches.is_empty());
}

#[tokio::test]
async fn rapid_resets_close_their_connection() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let mut stream = connect(&server);
    let block = headers("ListDatasets");
    let mut flood = vec![];
    for call in 0..5000 {
        let id = 2 * call + 1;
        flood.extend(frame(HEADERS, END_HEADERS, id, &block));
        flood.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    // The server may close the connection before everything is sent.
    let _sent = stream.write_all(&flood);
    assert!(is_closed(stream));
    assert_serves(&server).await;
}

#[tokio::test]
async fn endless_headers_close_their_connection() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let mut stream = connect(&server);
    stream
        .write_all(&frame(HEADERS, END_STREAM, 1, &headers("ListDatasets")))
        .expect("sent");
    // A literal header of 16,000 bytes, repeated: 64 MB in all.
    let mut block = vec![0x00, 1, b'a', 0x7f, 0x81, 0x7c];
    block.resize(block.len() + 16_000, b'a');
    let more = frame(CONTINUATION, 0, 1, &block);
    let refused = (0..4000).any(|_| stream.write_all(&more).is_err());
    assert!(refused || is_closed(stream), "64 MB of headers are taken");
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_flood_of_frames_takes_bounded_memory_and_affects_no_other_client() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    assert_serves(&server).await;
    let before = server.peak_memory();
    let header = frame(HEADERS, END_HEADERS, 1, &headers("ListDatasets"));
    let reset = frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    for (name, begin, flooding) in [
        ("pings", vec![], frame(PING, 0, 0, &[7; 8])),
        ("settings", vec![], frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
        ("priorities", vec![], frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 9])),
        (
            "small windows",
            vec![],
            frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        ),
        ("empty data", header.clone(), frame(DATA, 0, 1, &[])),
        (
            "data of a request taken back",
            [header.clone(), reset].concat(),
            frame(DATA, 0, 1, &[9; 64]),
        ),
        (
            "empty headers",
            frame(HEADERS, 0, 1, &headers("ListDatasets")),
            frame(CONTINUATION, 0, 1, &[]),
        ),
    ] {
        let mut stream = connect(&server);
        let limit = Some(Duration::from_millis(500));
        stream.set_write_timeout(limit).expect("a time limit");
        let _begun = stream.write_all(&begin);
        // Nothing is read. Up to 8 MB are sent, until the server closes the connection or the socket blocks.
        let thousand = flooding.repeat(1000);
        let sent = (0..8_000_000 / thousand.len()).take_while(|_| stream.write_all(&thousand).is_ok());
        assert!(sent.count() > 0, "{name}");
        assert_serves(&server).await;
    }
    // The kernel's counters are approximate: a peak may be read slightly lower than before.
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let mut client = server.client().await;
    let mut request = small("train", 1);
    request.dataset = "x".repeat(5 << 20);
    let status = receive(&mut client, request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let question = DescribeDatasetRequest {
        dataset: "x".repeat(5 << 20),
        ..DescribeDatasetRequest::default()
    };
    let status = client.describe_dataset(question).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{status}"
    );
    assert!(receive(&mut client, small("valid", 1)).await.is_ok());
}

#[tokio::test]
async fn idle_connections_are_closed_and_those_with_a_stream_are_not() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--idle-timeout", "1"]);
    let (mut used, mut unused) = (server.client().await, server.client().await);
    let (_description, mut stream) = open(&mut used, small("train", 1_000_000)).await.unwrap();
    next(&mut stream).await.unwrap().unwrap();
    assert!(receive(&mut unused, small("valid", 1)).await.is_ok());
    // Two connections that fall silent after a good start, one after the other.
    for _ in 0..2 {
        let raw = connect(&server);
        let closed = tokio::task::spawn_blocking(move || is_closed(raw));
        assert!(closed.await.unwrap());
    }
    next(&mut stream).await.unwrap().unwrap();
    // Its own connection was closed, too: it reconnects.
    eventually_async("the client connects again", async || {
        let received = receive(&mut unused, small("valid", 1)).await;
        received
            .map_err(|status| assert_eq!(status.code(), Code::Unavailable, "{status}"))
            .ok()
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_answers_no_ping_is_disconnected() {
    let images = pictures();
    let service = ServiceConfig {
        keepalive_interval: Duration::from_millis(100),
        keepalive_timeout: Duration::from_millis(100),
        ..ServiceConfig::default()
    };
    let server = MemoryServer::start_with(engine(images.root(), config(1, 1 << 26)), service);
    let (mut requests, mut connection) = h2::client::handshake(server.pipe().await).await.unwrap();
    let request = small("train", 1_000_000);
    let unread = {
        let asking = stream_batches(&mut requests, &request);
        tokio::select! {
            response = asking => response,
            ended = &mut connection => panic!("{ended:?}"),
        }
    };
    // From here on no PING is answered, and nothing is closed.
    no_stream_is_open(&server.engine).await;
    drop((unread, connection));
}

#[tokio::test]
async fn connections_that_do_not_speak_http2_are_closed() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    for words in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0; 100],
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&server.address).expect("a connection");
        stream.write_all(words).expect("sent");
        // The server may have closed the connection already.
        let _closed_on_both_sides = stream.shutdown(Shutdown::Write);
        assert!(is_closed(stream));
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_connection_that_stays_silent_is_closed() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--preface-timeout", "1"]);
    for words in [&b""[..], b"PRI * HT", PREFACE] {
        let mut stream = TcpStream::connect(&server.address).expect("a connection");
        stream.write_all(words).expect("sent");
        assert!(is_closed(stream), "{words:?}");
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--max-connections", "8"]);
    // A quarter of eight.
    let mut first = server.client().await;
    let _second = server.client().await;
    assert!(receive(&mut first, small("valid", 1)).await.is_ok());
    let third = TcpStream::connect(&server.address).expect("a connection");
    assert!(is_closed(third));
    assert!(receive(&mut first, small("valid", 1)).await.is_ok());
}

#[tokio::test]
async fn one_client_cannot_take_all_streams() {
    let images = pictures();
    let service = ServiceConfig {
        streams_per_client: 2,
        ..ServiceConfig::default()
    };
    let server = MemoryServer::start_with(engine(images.root(), config(1, 1 << 26)), service);
    let mut client = server.client().await;
    let first = open(&mut client, small("train", 1_000_000)).await.unwrap();
    let _second = open(&mut client, small("train", 1_000_000)).await.unwrap();
    let status = open(&mut client, small("train", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("2 streams open"), "{status}");
    drop(first);
    eventually_async("a permit is released", async || {
        let opened = open(&mut client, small("train", 1)).await;
        opened
            .map_err(|status| assert_eq!(status.code(), Code::ResourceExhausted, "{status}"))
            .ok()
    })
    .await;
}

#[tokio::test]
async fn a_stalled_reader_that_resumes_gets_a_status() {
    let images = pictures();
    let service = ServiceConfig {
        reader_timeout: Some(Duration::from_millis(200)),
        ..ServiceConfig::default()
    };
    let server = MemoryServer::start_with(engine(images.root(), config(1, 1 << 26)), service);
    let mut client = server.client().await;
    let mut request = small("train", 1_000_000);
    (request.batch_size, request.image_size) = (Some(16), Some(224));
    let (_description, mut stream) = open(&mut client, request).await.unwrap();
    no_stream_is_open(&server.engine).await;
    let status = failure(&mut stream, drop).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(
        status.message().contains("continue from the last batch's token"),
        "{status}"
    );
}

#[tokio::test]
async fn a_stalled_reader_loses_its_connection() {
    let images = pictures();
    let options = ["--listen", ":0", "--reader-timeout", "1", "--max-streams", "1"];
    let (server, log) = ServerProcess::with_log(images.root(), &options);
    let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    // It answers every PING.
    let connection = tokio::spawn(connection);
    let unread = stream_batches(&mut requests, &small("train", 1_000_000)).await;
    let _how = within("the connection is cut", connection).await.unwrap();
    drop(unread);
    // The only stream permit is released.
    let mut client = server.client().await;
    eventually_async("the only permit is released", async || {
        let received = receive(&mut client, small("valid", 1)).await;
        received
            .map_err(|status| assert_eq!(status.code(), Code::ResourceExhausted, "{status}"))
            .ok()
    })
    .await;
    let log = log.text();
    assert!(
        log.contains("stream ended") && log.contains("connection closed"),
        "{log}"
    );
}

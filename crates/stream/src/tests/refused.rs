//! Refusals and protocol violations of servers.

use std::io::{Read as _, Write as _};

use super::*;

#[test]
fn a_refusal_has_the_message_of_the_server() {
    let server = Running::start(FakeServer::default());
    let servers = open(server.address).expect("connected");
    let error = servers.describe("zoo").expect_err("unknown");
    assert_eq!(
        error.to_string(),
        format!("{} refuses: no dataset `zoo`; there is: garden", server.address)
    );
    assert!(!error.is_unavailable());
}

#[test]
fn a_closed_port_gives_an_error_with_the_address() {
    let address = closed_port();
    let error = open(address).expect_err("closed");
    assert_eq!(
        error.to_string(),
        format!("cannot reach {address}: connection refused")
    );
    assert!(error.is_unavailable());
    assert_eq!(error.remedy(), Some(Remedy::Reach));
}

#[test]
fn an_address_without_a_port_is_refused_before_any_connection() {
    for address in [
        "localhost",
        "localhost:",
        ":50051",
        "localhost:port",
        "localhost:99999",
        "",
    ] {
        let message = Servers::open(address, NO_RETRY)
            .expect_err("malformed")
            .to_string();
        assert!(message.contains("HOST:PORT"), "{message}");
    }
}

#[test]
fn a_web_server_is_not_an_equibatch_server() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    // Runs until the process ends: it answers every retry.
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let result = open(address).and_then(|servers| servers.datasets());
    let error = result.expect_err("no Equibatch server");
    assert!(matches!(error, Error::NotAServer { .. }), "{error:?}: {error}");
}

#[test]
fn a_lost_server_is_named_with_the_last_batch() {
    let server = Running::start(FakeServer {
        stops_at: Some(3),
        ..many(4)
    });
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(8), 8).expect("a stream");
    for _ in 0..3 {
        stream.next_batch().expect("no error").expect("a batch");
    }
    let error = stream.next_batch().expect_err("broken off");
    assert_eq!(
        error.to_string(),
        format!(
            "lost the server at {} after epoch 1 step 3: stopping",
            server.address
        )
    );
    assert!(stream.next_batch().expect("nothing follows an error").is_none());
}

#[test]
fn a_server_that_dies_ends_the_stream_with_an_error() {
    let server = Running::start(FakeServer {
        batches: 100_000,
        ..FakeServer::default()
    });
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(8), 1).expect("a stream");
    stream.next_batch().expect("no error").expect("a batch");
    drop(server);
    let error = std::iter::repeat_with(|| stream.next_batch())
        .find_map(Result::err)
        .expect("an error, not an end");
    assert!(matches!(error, Error::Lost { .. }), "{error}");
}

#[test]
fn a_stream_of_another_shape_is_refused() {
    let server = Running::start(FakeServer::default());
    let servers = open(server.address).expect("connected");
    let message = servers
        .stream(&request(16), 1)
        .expect_err("another shape")
        .to_string();
    assert!(message.contains("another shape"), "{message}");
}

#[test]
fn a_tensor_of_another_length_than_its_labels_is_refused() {
    let server = Running::start(FakeServer {
        missing: 4,
        ..FakeServer::default()
    });
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(8), 1).expect("a stream");
    let message = stream.next_batch().expect_err("too short").to_string();
    assert!(message.contains("does not match its labels"), "{message}");
}

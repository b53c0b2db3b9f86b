//! Frames that cost a server work and a client nothing, and connections that crowd out those of others.

use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpStream},
    thread,
};

use equibatch_harness::{
    certificates::Authority,
    frames::{connect, goaway, is_closed},
    hostile::connections::{self, floods},
    process::ServerProcess,
    receive::{receive, small},
};

use super::pictures;

const ENHANCE_YOUR_CALM: u32 = 0xb;

#[tokio::test]
async fn a_flood_of_control_frames_ends_its_connection_and_says_why() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    for (name, flooding) in floods() {
        let stream = connect(&server);
        let mut sending = stream.try_clone().unwrap();
        // Until the server closes the connection.
        let flood = thread::spawn(move || {
            let thousand = flooding.repeat(1000);
            (0..10_000)
                .take_while(|_| sending.write_all(&thousand).is_ok())
                .count()
        });
        assert_eq!(goaway(stream), Some(ENHANCE_YOUR_CALM), "{name}");
        let sent = flood.join().unwrap();
        println!("attacks: {name}: cut after at most {sent} thousand");
        assert!(sent < 10_000, "{name}");
    }
    let received = receive(&mut server.client().await, small("valid", 1)).await;
    assert!(received.is_ok());
}

/// A connection from another address of this machine.
async fn from(address: Ipv4Addr, server: &ServerProcess) -> TcpStream {
    let stream = connections::from(address, server.address.parse().unwrap()).await;
    let stream = stream.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[tokio::test]
async fn connections_are_reserved_for_clients_that_had_a_stream() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--max-connections", "16"]);
    let mut client = server.client().await;
    let received = receive(&mut client, small("valid", 1)).await;
    assert!(received.is_ok());
    // A quarter of 16 for each address; two are reserved. The client's own is open, too.
    let mut strangers = vec![];
    for host in 2..=4 {
        for _ in 0..4 {
            strangers.push(from(Ipv4Addr::new(127, 0, 0, host), &server).await);
        }
    }
    strangers.push(from(Ipv4Addr::new(127, 0, 0, 5), &server).await);
    let one_more = from(Ipv4Addr::new(127, 0, 0, 6), &server).await;
    let refused = tokio::task::spawn_blocking(move || goaway(one_more));
    assert_eq!(refused.await.unwrap(), Some(ENHANCE_YOUR_CALM), "it is told");
    let received = receive(&mut server.client().await, small("valid", 1)).await;
    assert!(received.is_ok());
    drop((strangers, client));
}

#[test]
fn a_client_with_too_many_connections_gets_an_error() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--max-connections", "4"]);
    let first = connect(&server);
    let second = connect(&server);
    assert_eq!(goaway(second), Some(ENHANCE_YOUR_CALM));
    drop(first);
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let options = [
        "--max-connections",
        "4",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
    ];
    let server = ServerProcess::start(images.root(), &options);
    let first = TcpStream::connect(&server.address).unwrap();
    // No error can be sent before the TLS handshake.
    assert!(is_closed(TcpStream::connect(&server.address).unwrap()));
    drop(first);
}

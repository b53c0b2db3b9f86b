//! Connections, frames and bodies that no well-behaved client sends.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use tokio::net::{TcpSocket, TcpStream};

use crate::frames::{PING, SETTINGS, frame};

/// A method that takes up to 256 bytes.
pub const HEALTH: &str = "grpc.health.v1.Health/Check";
/// A method that takes up to 64 KiB.
pub const STREAM: &str = "equibatch.v1.BatchLoader/StreamBatches";

/// Frames that cost a server work and a client nothing, by name.
#[must_use]
pub fn floods() -> [(&'static str, Vec<u8>); 3] {
    [
        ("pings", frame(PING, 0, 0, &[7; 8])),
        ("answers to pings", frame(PING, 1, 0, &[7; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
    ]
}

/// A connection from another address of this machine.
///
/// # Errors
///
/// If the system refuses.
pub async fn from(address: Ipv4Addr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((address, 0)))?;
    socket.connect(server).await
}

/// Starts a call with a message of `length` bytes, and sends `bytes` of it.
///
/// # Errors
///
/// If the connection ends.
///
/// # Panics
///
/// If `method` cannot be a part of an address.
pub async fn begin(
    requests: SendRequest<Bytes>,
    method: &str,
    length: u32,
    bytes: usize,
) -> Result<(ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
    let call = http::Request::post(format!("http://localhost/{method}"))
        .header("content-type", "application/grpc")
        .body(())
        .expect("the name of a method");
    let mut requests = requests.ready().await?;
    let (response, mut body) = requests.send_request(call, false)?;
    let mut message = vec![0];
    message.extend(length.to_be_bytes());
    message.resize(5 + bytes, 7);
    // The response may come before everything is sent.
    let _taken = body.send_data(message.into(), false);
    Ok((response, body))
}

/// Starts `count` requests with a message of 64 KiB without its last byte, and one of 4 MiB to the health service; as many as the
/// connection takes.
pub async fn unfinished(
    requests: SendRequest<Bytes>,
    count: usize,
) -> Vec<(ResponseFuture, h2::SendStream<Bytes>)> {
    let mut held = vec![];
    for _ in 0..count {
        held.extend(begin(requests.clone(), STREAM, 64 << 10, (64 << 10) - 1).await);
    }
    held.extend(begin(requests, HEALTH, 4 << 20, 64 << 10).await);
    held
}

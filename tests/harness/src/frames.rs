//! HTTP/2 frames, written byte by byte, for frames that no client library sends.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use crate::{process::ServerProcess, wait::DEADLINE};

/// The connection preface of a client.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// See RFC 9113.
pub const DATA: u8 = 0;
/// See RFC 9113.
pub const HEADERS: u8 = 1;
/// See RFC 9113.
pub const PRIORITY: u8 = 2;
/// See RFC 9113.
pub const RST_STREAM: u8 = 3;
/// See RFC 9113.
pub const SETTINGS: u8 = 4;
/// See RFC 9113.
pub const PING: u8 = 6;
/// See RFC 9113.
pub const GOAWAY: u8 = 7;
/// See RFC 9113.
pub const WINDOW_UPDATE: u8 = 8;
/// See RFC 9113.
pub const CONTINUATION: u8 = 9;
/// See RFC 9113.
pub const END_STREAM: u8 = 1;
/// See RFC 9113.
pub const END_HEADERS: u8 = 4;

/// A frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call, in HPACK without compression.
#[must_use]
pub fn headers(method: &str) -> Vec<u8> {
    headers_to(&format!("/equibatch.v1.BatchLoader/{method}"))
}

/// The headers of a call to `path`, of fewer than 127 bytes, in HPACK without compression.
#[must_use]
pub fn headers_to(path: &str) -> Vec<u8> {
    // POST, http, and two values for names of the static table.
    let mut block = vec![0x83, 0x86, 0x04, path.len() as u8];
    block.extend(path.bytes());
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    block
}

/// A connection with its preface sent.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn connect(server: &ServerProcess) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).expect("a connection");
    let settings = frame(SETTINGS, 0, 0, &[]);
    stream.write_all(&[PREFACE, &settings].concat()).expect("sent");
    stream
}

/// Reads frames until a GOAWAY or the end of the connection; returns the GOAWAY's debug data.
///
/// # Panics
///
/// If neither comes.
#[must_use]
pub fn goaway(mut stream: TcpStream) -> Option<u32> {
    stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < DEADLINE, "the server does not exit");
        let mut head = [0; 9];
        if let Err(error) = stream.read_exact(&mut head) {
            assert!(
                !is_timeout(&error),
                "the server neither answers nor closes the connection"
            );
            return None;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).is_err() {
            return None;
        }
        if head[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().expect("four bytes")));
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Checks that the server closes the connection without a HEADERS or DATA frame.
///
/// # Panics
///
/// If the connection stays open.
#[must_use]
pub fn is_closed(stream: TcpStream) -> bool {
    goaway(stream).is_none_or(|code| code != 0)
}

/// Reads frames up to one of type `kind`.
///
/// # Panics
///
/// If none comes.
pub fn wait_for(stream: &mut TcpStream, kind: u8) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).expect("its payload");
        if head[3] == kind {
            return;
        }
    }
}

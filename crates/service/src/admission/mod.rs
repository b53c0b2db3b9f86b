//! Connection admission, between the listeners and HTTP/2: connection limits, TLS handshakes and connection timeouts.
//!
//! # Layout
//!
//! - `acceptor`: accepts connections up to the limits, and handles each in a task of its own; `handshake`: TLS.
//! - `server_io`: the I/O object that tonic serves, with the timeouts of one connection: `preface_timeout` and `idle_timeout`.
//! - `linger`: closing a connection so that the client can read why.
//! - `connection_info`: what requests know of their connection.

mod acceptor;
mod connection_info;
mod handshake;
mod idle_timeout;
mod linger;
mod preface_timeout;
mod server_io;

#[cfg(test)]
mod tests;

pub use self::{
    acceptor::admit,
    connection_info::{ConnectionInfo, PeerInfo},
    server_io::ServerIo,
};

//! Settings of the service.

use std::time::Duration;

use super::{Access, Traffic};

/// Settings of the service.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Grace period of a shutdown; streams still open after it are closed.
    pub shutdown_grace: Duration,
    /// Interval of HTTP/2 keepalive pings. Without them, a connection lost without a FIN or RST would hold its stream forever.
    pub keepalive_interval: Duration,
    /// A connection that does not answer a keepalive ping within this is closed.
    pub keepalive_timeout: Duration,
    /// Maximum of concurrent requests per connection.
    pub requests_per_connection: u32,
    /// Maximum of open connections.
    pub connections: usize,
    /// Maximum of open streams per client.
    pub streams_per_client: usize,
    /// A stream whose reader takes nothing for this long is ended; `None`: never.
    pub reader_timeout: Option<Duration>,
    /// Whether clients on this machine may read batches from shared memory.
    pub share_memory: bool,
    /// Timeout of the TLS handshake, of the HTTP/2 preface after it, and of each request until it is complete.
    pub handshake_timeout: Duration,
    /// A connection without a request for this long is closed; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// TLS and tokens.
    pub access: Access,
    /// Counters of connections, streams and refusals.
    pub traffic: Traffic,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            // A batch of 40 MB takes 3 s at 100 Mbit/s.
            shutdown_grace: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(30),
            // A client busy with a long training step is slow, but its HTTP/2 task answers within this.
            keepalive_timeout: Duration::from_secs(30),
            requests_per_connection: 128,
            // The usual default limit of file descriptors per process.
            connections: 1024,
            // Twice eight devices with one stream for training and one for validation each.
            streams_per_client: 32,
            // A training stream is not read during validation, which may take minutes.
            reader_timeout: Some(Duration::from_secs(900)),
            share_memory: true,
            handshake_timeout: Duration::from_secs(10),
            // Epoch reports may come later than this; reconnecting is cheap.
            idle_timeout: Some(Duration::from_secs(900)),
            access: Access::default(),
            traffic: Traffic::default(),
        }
    }
}

//! Tests against fake servers, over real sockets on the loopback interface.
//!
//! - `fake_server`: the servers.
//! - `received`: batches of one server; `refused`: refusals and protocol violations; `several`: distribution and failover; `names`: servers
//!   that change under one name.

mod fake_server;
mod names;
mod received;
mod refused;
mod several;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use equibatch_proto::v1;

use self::fake_server::{FakeServer, Running};
use super::*;

/// Without retries.
const NO_RETRY: RetryPolicy = RetryPolicy {
    retry_for: Duration::ZERO,
    stall: Duration::from_secs(60),
};

/// With retries, for servers that recover at once.
const RETRY: RetryPolicy = RetryPolicy {
    retry_for: Duration::from_secs(60),
    stall: Duration::from_secs(60),
};

fn open(address: SocketAddr) -> Result<Servers, Error> {
    Servers::open(&address.to_string(), NO_RETRY)
}

fn open_all(running: &[Running], retry_policy: RetryPolicy) -> Result<Servers, Error> {
    let addresses: Vec<String> = running.iter().map(|server| server.address.to_string()).collect();
    Servers::open(&addresses.join(","), retry_policy)
}

fn request(size: u32) -> BatchRequest {
    BatchRequest::evaluation("garden", Split::Train, 1, size)
}

fn many(batches: u64) -> FakeServer {
    FakeServer {
        batches,
        ..FakeServer::default()
    }
}

fn steps(stream: &mut BatchStream) -> Vec<u64> {
    std::iter::from_fn(|| stream.next_batch().expect("no error"))
        .map(|batch| batch.step)
        .collect()
}

/// A port on the loopback interface without a listener.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound")
}

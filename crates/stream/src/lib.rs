//! A stream of batches from one or several servers, with failover.
//!
//! # Layout
//!
//! - [`servers`]: a client of one or several servers, the entry point.
//! - [`batches`]: the prefetched stream; [`batch`]: its batches.
//! - [`request`]: what to stream, and its wire form; [`mod@balance`]: how often each class is drawn.
//! - [`position`]: the position in a stream, saved with a model.
//! - [`dataset`]: datasets as described by servers.
//! - `server_stream`: one server's share of a stream, with failover to other servers.
//! - `server_pool`: health of the servers; [`retry_policy`]: timeouts and backoff.
//! - `trace`: the trace id of all requests of this process.
//! - [`bottleneck`]: bottleneck attribution; `step_timings`: the timings reported to the servers.
//! - [`transport`]: network, socket or shared memory.
//! - `credentials`: tokens and certificates.
//! - [`mod@resolver`]: name lookup; `target`: an address as typed, and the servers that it resolves to.
//! - `server`, `address`: one server; `incoming`: one stream from it, with every message checked.
//! - `spread`: distributes the steps of a stream over servers.
//!
//! # Failover
//!
//! A batch is a pure function of the request and the files, so any server that has the files can render any batch.
//!
//! a. Each of `n` servers is requested every `n`-th batch, by its [`server_stream`]. The batches of all are merged in order.
//! b. If a server fails, its server stream requests the next missing batch from the next healthy server. If a batch is late for too long,
//!    another server is asked, too, and the first answer counts.
//! c. A server that failed is probed with exponential backoff until it answers and has the same files; then its server stream returns to
//!    it.
//! d. If no server is left, the stream waits for [`RetryPolicy::retry_for`]; it fails at once if every server's error is permanent: a
//!    revoked token, other files.
//! e. Names are resolved periodically. If servers are added or removed, the steps from the next batch on are redistributed.
//!
//! No batch can be lost or repeated: a server stream accepts only the batch that is due.
//!
//! The interface is blocking: [`Servers`] owns the network threads.

mod address;
pub mod balance;
pub mod batch;
pub mod batches;
pub mod bottleneck;
mod credentials;
pub mod dataset;
mod error;
mod incoming;
pub mod position;
pub mod request;
pub mod resolver;
pub mod retry_policy;
mod server;
mod server_pool;
mod server_stream;
pub mod servers;
mod spread;
mod step_timings;
mod target;
mod trace;
pub mod transport;

pub use balance::Balance;
pub use batch::{Batch, Mixed, StreamDescription};
pub use batches::BatchStream;
pub use bottleneck::{Bottleneck, BottleneckReport};
pub use credentials::{Credentials, Token};
pub use dataset::{ClassCounts, DatasetDescription, DatasetSummary, Sample};
pub use error::Error;
pub use position::Position;
pub use request::{BatchDtype, BatchRequest, Split, Stride};
pub use resolver::Resolver;
pub use retry_policy::RetryPolicy;
pub use servers::Servers;
pub use trace::TraceId;
pub use transport::Transport;

#[cfg(test)]
mod tests;

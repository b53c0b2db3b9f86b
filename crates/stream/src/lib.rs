//! A stream of batches from one or several servers, with failover.
//!
//! ```no_run
//! use equibatch_stream::{BatchRequest, RetryPolicy, Servers, Split};
//!
//! # fn main() -> Result<(), equibatch_stream::Error> {
//! let servers = Servers::open("loader-1:50051,loader-2:50051", RetryPolicy::default())?;
//! let request = BatchRequest {
//!     epochs: 10,
//!     seed: 7,
//!     recipe: "light rotate(15)".to_owned(),
//!     ..BatchRequest::evaluation("flowers-birds", Split::Train, 64, 224)
//! };
//! for batch in servers.stream(&request, 4)? {
//!     let batch = batch?; // batch.labels, batch.tensor: little-endian f32 in the order N, C, H, W
//!     println!("epoch {} step {}: {} images", batch.epoch, batch.step, batch.labels.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The network runs on a thread of its own, so that batches arrive while the caller computes. For async code of any executor there are
//! [`Servers::open_async`], [`Servers::stream_async`] and [`BatchStream::poll_next`]; all other methods that wait block.
//!
//! # Layout
//!
//! - [`servers`]: a client of one or several servers, the entry point.
//! - [`batches`]: the prefetched stream; [`batch`]: its batches.
//! - [`request`]: what to stream, and its wire form; [`mod@balance`]: how often each class is drawn; [`batch_dtype`], [`Shard`], [`Stride`]:
//!   parts of it.
//! - [`position`]: the position in a stream, saved with a model.
//! - [`dataset`]: datasets as described by servers.
//! - `server_stream`: one server's share of a stream, with failover to other servers.
//! - `server_pool`, `pool_state`: health of the servers; [`retry_policy`]: timeouts and backoff.
//! - `trace`: the trace id of all requests of this process.
//! - [`bottleneck`]: bottleneck attribution; `step_timings`: the timings reported to the servers.
//! - [`transport`]: network, socket or shared memory.
//! - `credentials`: tokens and certificates.
//! - [`mod@resolver`]: name lookup; `target`: an address as typed, and the servers that it resolves to.
//! - `server`, `address`, `connect`: one server; `incoming`: one stream from it, with every message checked; `files`: what it must serve.
//! - `spread`: distributes the steps of a stream over servers; `opening`: opens their streams.
//! - `error`, `status`: errors, also from what tonic reports.
//! - `network_thread`: where all of this runs; `hex`: hashes as text.
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

mod address;
pub mod balance;
pub mod batch;
pub mod batch_dtype;
pub mod batches;
pub mod bottleneck;
mod connect;
mod credentials;
pub mod dataset;
mod error;
mod files;
mod hex;
mod incoming;
mod network_thread;
mod opening;
mod pool_state;
pub mod position;
pub mod request;
pub mod resolver;
pub mod retry_policy;
mod server;
mod server_pool;
mod server_stream;
pub mod servers;
mod spread;
mod status;
mod step_timings;
mod target;
mod trace;
pub mod transport;

pub use equibatch_engine::{
    dataset::Split,
    pipeline::{Shard, Stride},
    sampling::LastBatch,
};

pub use balance::Balance;
pub use batch::{Background, Batch, DrawsChange, Mixed, StreamDescription};
pub use batch_dtype::BatchDtype;
pub use batches::BatchStream;
pub use bottleneck::{Bottleneck, BottleneckReport};
pub use credentials::{Credentials, Token};
pub use dataset::{ClassCounts, DatasetDescription, DatasetSummary, Sample};
pub use error::{Error, Remedy};
pub use position::Position;
pub use request::BatchRequest;
pub use resolver::Resolver;
pub use retry_policy::RetryPolicy;
pub use servers::Servers;
pub use trace::TraceId;
pub use transport::Transport;

#[cfg(test)]
mod tests;

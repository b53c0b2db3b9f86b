//! Talks to a server: the only module that names tonic.
//!
//! # Layout
//!
//! - [`servers`]: one or several servers as one: what callers use.
//! - [`batches`]: batches fetched ahead, in order; [`batch`]: what they are.
//! - [`request`]: what to stream, in domain terms, and its wire form; [`mod@balance`]: how often each class is drawn.
//! - [`position`]: the place in a stream that is saved with a model.
//! - [`dataset`]: what servers say of their datasets.
//! - `server_stream`: one server's part of a stream, and what happens when that server does not deliver.
//! - `server_pool`: which servers are well, and the looking after those that are not; [`retry_policy`]: how long to wait.
//! - `trace`: one name for all requests of this process, in the servers' logs and traces.
//! - [`bottleneck`]: what holds a stream up; `step_timings`: what the servers are told for that.
//! - [`transport`]: by network, socket or shared memory.
//! - `credentials`: what a server may want to see.
//! - [`mod@resolver`]: which addresses a name stands for; `target`: an address as typed, and the servers that it stands for now.
//! - `server`, `address`: one server; `incoming`: one stream from it, every message checked.
//! - `spread`: how the steps of a stream are spread over servers.
//!
//! # How a stream survives
//!
//! A batch is a pure function of the request and the files, so any server that has the files can make any batch.
//!
//! a. Of `n` servers each is asked for every `n`-th batch: its *lane*. The batches of the lanes are put together in order.
//! b. Where a server fails, its lane asks the next one that is well, from the first batch that is missing. A server that owes a batch for too
//!    long is raced by another one, and the first answer counts.
//! c. A server that failed is probed, ever less often, until it answers and has the same files; then its lane goes back to it.
//! d. If no server is left, openings and lanes wait for as long as [`RetryPolicy::retry_for`] says; they end at once if every server gave an
//!    answer that waiting does not mend: a token withdrawn, other files.
//! e. Names are looked up again while they are used. If servers come or go, the steps from the next batch on are spread over those that there
//!    are.
//!
//! No batch can be lost or repeated: a lane knows which one is due, and refuses every other.
//!
//! Callers are synchronous: [`Servers`] owns the threads that the network needs.

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

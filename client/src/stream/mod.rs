//! Talks to a server: the only module that names tonic.
//!
//! # Layout
//!
//! - [`connection`]: connecting, listing and describing.
//! - [`request`]: what to stream, in domain terms, and its wire form.
//! - [`incoming`]: one stream from one server, every message checked.
//! - [`batches`]: batches fetched ahead in the background; [`batch`]: what they are.
//! - [`position`]: the place in a stream that is saved with a model.
//!
//! Callers are synchronous: a [`Connection`] owns the threads that the network needs.

pub mod batch;
pub mod batches;
pub mod connection;
mod error;
mod incoming;
pub mod position;
pub mod request;

pub use batch::{Batch, StreamDescription};
pub use batches::BatchStream;
pub use connection::{ClassCounts, Connection, DatasetDescription, DatasetSummary};
pub use error::Error;
pub use position::Position;
pub use request::{Balance, BatchRequest, Split};

#[cfg(test)]
mod tests;

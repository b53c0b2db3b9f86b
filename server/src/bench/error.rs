use equibatch_engine::{dataset, decode, pipeline, sampling};
use equibatch_tools::sample_data;
use std::io;

use crate::service;

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder for the drawn images.
    #[error("cannot make a temporary folder")]
    Folder(#[source] io::Error),
    /// No images drawn.
    #[error("cannot draw the images")]
    Draw(#[from] sample_data::Error),
    /// A folder that cannot be measured with.
    #[error("cannot measure with the images of {name:?}")]
    Dataset {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: dataset::Error,
    },
    /// The large photograph.
    #[error("cannot make a large photograph")]
    Photograph(#[source] image::ImageError),
    /// A file that cannot be decoded.
    #[error("cannot decode an image")]
    Decode(#[from] decode::Error),
    /// No threads.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// A socket, or what goes through it.
    #[error("cannot measure sockets")]
    Socket(#[source] io::Error),
    /// No address to serve at.
    #[error("cannot serve to be measured")]
    Serve(#[from] service::socket::Error),
    /// No plan.
    #[error("cannot plan")]
    Plan(#[from] sampling::Error),
    /// No batches.
    #[error("cannot make batches")]
    Engine(#[from] pipeline::Error),
    /// No connection.
    #[error("cannot connect to the measured server")]
    Connect(#[from] tonic::transport::Error),
    /// A stream that failed.
    #[error("cannot receive batches: {0}")]
    Stream(#[from] tonic::Status),
    /// A stream of fewer batches than were asked for.
    #[error("a stream ended while it was measured")]
    Ended,
    /// How much memory is used.
    #[error("cannot read /proc/self/statm")]
    Memory(#[source] io::Error),
}

use equibatch_engine::{dataset, decode, pipeline, sampling};
use equibatch_tools::sample_data;
use std::io;

use crate::service;

/// A benchmark failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder for the generated images cannot be created.
    #[error("cannot make a temporary folder")]
    Folder(#[source] io::Error),
    /// The images cannot be generated.
    #[error("cannot generate the images")]
    Draw(#[from] sample_data::Error),
    /// The images given cannot be used.
    #[error("cannot use the images of {name:?}")]
    Dataset {
        /// Name of the dataset.
        name: String,
        /// The cause.
        source: dataset::Error,
    },
    /// The large photograph cannot be generated.
    #[error("cannot generate the large photograph")]
    Photograph(#[source] image::ImageError),
    /// A file that cannot be decoded.
    #[error("cannot decode an image")]
    Decode(#[from] decode::Error),
    /// A runtime or thread cannot be started.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// A socket failed.
    #[error("socket I/O failed")]
    Socket(#[source] io::Error),
    /// The benchmark server cannot listen.
    #[error("cannot start the benchmark server")]
    Serve(#[from] service::socket::Error),
    /// Planning failed.
    #[error("cannot plan the epochs")]
    Plan(#[from] sampling::Error),
    /// The engine failed.
    #[error("cannot render batches")]
    Engine(#[from] pipeline::Error),
    /// The benchmark server cannot be reached.
    #[error("cannot connect to the benchmark server")]
    Connect(#[from] tonic::transport::Error),
    /// A stream that failed.
    #[error("cannot receive batches: {0}")]
    Stream(#[from] tonic::Status),
    /// A stream ended before all batches were measured.
    #[error("a stream ended while it was measured")]
    Ended,
    /// The memory use cannot be read.
    #[error("cannot read /proc/self/statm")]
    Memory(#[source] io::Error),
}

//! The Equibatch server: class folders in, class-balanced, augmented, normalised batches of tensors out, over gRPC.
//!
//! # What
//!
//! A server holds folders of images, one folder per class. A client requests a stream: dataset and split, seed, batch and image size,
//! balancing and augmentation. It receives tensors that can be fed to a network as they are.
//!
//! # Why
//!
//! A network trained on 200 flowers and 20 birds neglects the birds. Oversampling them needs no copies on disk: each bird is drawn ten
//! times per epoch, augmented differently each time. And a batch that is a *pure function* of the request and the files needs no server
//! state: any server with the same files can continue any stream at any step.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`service`] | the gRPC service, over the engine of `equibatch-engine` |
//! | [`admin`] | the admin HTTP server: health, readiness, metrics |
//! | [`descriptors`] | the limit of open files |
//! | [`args`], [`config`], [`command`], [`telemetry`] | command line, configuration, the commands, logging and traces |
//! | [`mod@bench`] | benchmarks of each stage on this machine |
//!
//! # How a batch flows
//!
//! a. [`service`] converts a request to an [`equibatch_engine::pipeline::StreamSpec`] with all defaults filled in, or refuses it, naming
//!    the field.
//! b. The engine renders the batches of an [`equibatch_engine::pipeline::BatchStream`]; see its documentation.
//! c. Batches are sent in order; a batch's buffer is reused once its last byte is sent.

pub mod admin;
pub mod args;
pub mod bench;
pub mod command;
pub mod config;
pub mod descriptors;
pub mod telemetry;

use std::{future::Future, io, pin::pin, sync::Arc};

use equibatch_engine::pipeline::{Engine, Files};
pub use equibatch_server_service as service;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::{
    config::{Config, DatasetConfig},
    service::{PeerInfo, ServiceConfig},
};

/// Why a server does not start, or stops by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A dataset cannot be served.
    #[error("cannot serve dataset {name:?}")]
    Dataset {
        /// Its name.
        name: String,
        /// The cause.
        source: equibatch_engine::dataset::Error,
    },
    /// The worker threads cannot be started.
    #[error("cannot start the worker threads")]
    Threads(#[source] io::Error),
    /// The task that accepts connections has ended: a bug; the log has the cause.
    #[error("no connections are accepted any more")]
    Accept,
    /// The transport failed.
    #[error("cannot serve connections")]
    Transport(#[from] tonic::transport::Error),
}

/// Quarantined files of a dataset that are named in the log, at most.
const NAMED_FILES: usize = 20;

/// Starts the workers. Each dataset is served once it is [scanned](scan).
///
/// # Errors
///
/// If the system refuses a thread.
pub fn start(config: &Config) -> Result<Engine, Error> {
    let names = config.datasets.iter().map(|dataset| dataset.name.clone());
    Engine::awaiting(config.engine.clone(), names.collect(), Arc::new(Files)).map_err(Error::Threads)
}

/// Scans the datasets one after another, and adds them to `engine`, which [`start`] returned. Reads the header of every image; must not be
/// called on an async thread.
///
/// # Errors
///
/// If a dataset is unusable; those before it are served by then.
pub fn scan(config: &Config, engine: &Engine) -> Result<(), Error> {
    for DatasetConfig { name, root } in &config.datasets {
        let progress = engine.progress(name).expect("the engine awaits all datasets");
        let scanned = equibatch_engine::dataset::scan_with_progress(name, root, &config.scan, progress);
        let dataset = scanned.map_err(|source| Error::Dataset {
            name: name.clone(),
            source,
        })?;
        for warning in &dataset.warnings {
            tracing::warn!(dataset = name, "{warning}");
        }
        let (named, rest) = dataset
            .quarantine
            .split_at(dataset.quarantine.len().min(NAMED_FILES));
        for file in named {
            tracing::warn!(
                dataset = name,
                sample = file.path,
                error = file.reason,
                "image quarantined"
            );
        }
        if !rest.is_empty() {
            tracing::warn!(
                dataset = name,
                files = rest.len(),
                "more images quarantined: `server verify` names them"
            );
        }
        engine.add(dataset).map_err(|source| Error::Dataset {
            name: name.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Serves `engine` on the `incoming` connections until `shutdown` completes and the open streams have ended.
///
/// # Errors
///
/// If the transport fails as a whole, or accepting connections ends before `shutdown` completes.
pub async fn run<C>(
    engine: Engine,
    config: &ServiceConfig,
    incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<PeerInfo>,
{
    let stopping = CancellationToken::new();
    let shutdown = async {
        shutdown.await;
        stopping.cancel();
    };
    let (incoming, mut accepting) = service::admit(incoming, config, stopping.clone());
    let mut serving = pin!(service::serve(engine, config, incoming, shutdown));
    let accepted = tokio::select! {
        served = &mut serving => {
            served?;
            // Closes the sockets, and removes their files.
            accepting.await
        }
        accepted = &mut accepting => {
            if stopping.is_cancelled() {
                serving.await?;
            }
            accepted
        }
    };
    if accepted.is_ok() && stopping.is_cancelled() {
        Ok(())
    } else {
        Err(Error::Accept)
    }
}

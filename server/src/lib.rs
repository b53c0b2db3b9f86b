//! The Equibatch server: class folders in, class-balanced, augmented, normalised batches of tensors out, over gRPC.
//!
//! # What
//!
//! A server holds folders of images, one folder per class. A client asks for a stream: which dataset and split, what seed, how large a
//! batch and an image, how to balance and to augment. It gets tensors that a network can eat as they are.
//!
//! # Why
//!
//! A network trained on 200 flowers and 20 birds ignores the birds. The remedy, augmented copies of the birds, needs no copy on disk: it is
//! a matter of drawing each bird ten times an epoch, each time in another light and from another angle. And a batch that is a *pure function*
//! of the request and the files needs no state: any server with the same files continues any stream at any step.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`service`] | the gRPC service, over the engine of `equibatch-engine` |
//! | [`admin`] | the HTTP face for the operator: health, readiness, metrics |
//! | [`descriptors`] | how many files may be open |
//! | [`args`], [`config`], [`telemetry`] | the command line, what it means, the log and traces |
//! | [`mod@bench`] | what a batch costs on this machine, stage by stage |
//!
//! # How a batch flows
//!
//! a. A request arrives in [`service`]; it becomes an [`equibatch_engine::pipeline::StreamSpec`] with every default filled in, or is refused by
//!    field.
//! b. The engine makes the batches of an [`equibatch_engine::pipeline::BatchStream`], as its documentation says.
//! c. Finished batches leave in order, and a batch's buffer comes back when its last byte is sent.

pub mod admin;
pub mod args;
pub mod bench;
pub mod config;
pub mod descriptors;
pub mod service;
pub mod telemetry;

use std::{future::Future, io, pin::pin, sync::Arc};

use equibatch_engine::pipeline::{Engine, Files};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::{
    config::{Config, DatasetConfig},
    service::{Arrival, ServiceConfig},
};

/// Why a server does not start, or stops by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder that cannot be served.
    #[error("cannot serve dataset {name:?}")]
    Dataset {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: equibatch_engine::dataset::Error,
    },
    /// No threads.
    #[error("cannot start the worker threads")]
    Threads(#[source] io::Error),
    /// The task that accepts connections has ended: a defect, which the log names.
    #[error("no connections are accepted any more")]
    Accept,
    /// No connections.
    #[error("cannot serve connections")]
    Transport(#[from] tonic::transport::Error),
}

/// Quarantined files of a dataset that are named in the log when it is opened.
const NAMED_FILES: usize = 20;

/// Starts the workers. Each dataset is served as soon as it is [scanned](scan).
///
/// # Errors
///
/// If the system refuses a thread.
pub fn start(config: &Config) -> Result<Engine, Error> {
    let names = config.datasets.iter().map(|dataset| dataset.name.clone());
    Engine::awaiting(config.engine.clone(), names.collect(), Arc::new(Files)).map_err(Error::Threads)
}

/// Scans the datasets one after another for `engine`, which [`start`] gave. Reads the header of every image: not for an async thread.
///
/// # Errors
///
/// If a dataset is of no use; those before it are served by then.
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

/// Serves `engine` to the `incoming` connections, until `shutdown` is done and the open streams have ended.
///
/// # Errors
///
/// If the transport fails as a whole, or no connection can come in any more before `shutdown` is done.
pub async fn run<C>(
    engine: Engine,
    config: &ServiceConfig,
    incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<Arrival>,
{
    let stopping = CancellationToken::new();
    let shutdown = async {
        shutdown.await;
        stopping.cancel();
    };
    let (incoming, mut accepting) = service::door(incoming, config, stopping.clone());
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

//! A server in this process, reached through pipes in memory.

use std::{fmt, io, io::Write as _, num::NonZeroUsize, path::Path, sync::Arc};

use equibatch_engine::{
    dataset::{Dataset, ScanOptions},
    pipeline::{Engine, EngineConfig, Source},
};
use equibatch_proto::v1::batch_loader_client::BatchLoaderClient;
use equibatch_server::service::{Access, AccessFiles, ServiceConfig, serve};
use hyper_util::rt::TokioIo;
use tokio::{
    io::DuplexStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{self, Channel, Endpoint};

use equibatch_harness::wait::{eventually_async, within};

/// Capacity of a pipe, in bytes.
const PIPE: usize = 64 * 1024;

/// A running server.
pub struct MemoryServer {
    /// What it serves.
    pub engine: Engine,
    connections: mpsc::Sender<io::Result<DuplexStream>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), transport::Error>>,
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServer")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// A dataset named `pictures`, scanned with the default options.
///
/// # Panics
///
/// If it cannot be scanned.
#[must_use]
pub fn dataset(root: &Path) -> Dataset {
    Dataset::scan("pictures", root, &ScanOptions::default()).expect("a dataset")
}

/// An engine over the dataset at `root`.
///
/// # Panics
///
/// If there is no dataset.
#[must_use]
pub fn engine(root: &Path, config: EngineConfig) -> Engine {
    Engine::new(config, vec![dataset(root)]).expect("threads")
}

/// An engine over the dataset at `root` whose images come from `source`.
///
/// # Panics
///
/// If there is no dataset.
#[must_use]
pub fn engine_with(root: &Path, config: EngineConfig, source: Arc<dyn Source>) -> Engine {
    Engine::with_source(config, vec![dataset(root)], source).expect("threads")
}

/// The default service configuration with these lines as token file.
///
/// # Panics
///
/// If a line is invalid.
#[must_use]
pub fn with_tokens(lines: &str) -> ServiceConfig {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(lines.as_bytes()).expect("written");
    // The service watches the file as long as it runs.
    let path = file.into_temp_path().keep().expect("kept");
    let files = AccessFiles {
        tokens: Some(path),
        ..AccessFiles::default()
    };
    ServiceConfig {
        access: Access::load(&files).expect("tokens"),
        ..ServiceConfig::default()
    }
}

/// The default engine configuration with this many threads and bytes of cache.
///
/// # Panics
///
/// If `threads` is zero.
#[must_use]
pub fn config(threads: usize, cache_bytes: u64) -> EngineConfig {
    EngineConfig {
        threads: NonZeroUsize::new(threads).expect("a thread"),
        cache_bytes,
        ..EngineConfig::default()
    }
}

/// Waits until all streams of `engine` are closed.
///
/// # Panics
///
/// After the deadline.
pub async fn no_stream_is_open(engine: &Engine) {
    let is_idle = async || (engine.open_streams() == 0).then_some(());
    eventually_async("all streams are closed", is_idle).await;
}

impl MemoryServer {
    /// Serves `engine`. Must be called within a runtime.
    #[must_use]
    pub fn start(engine: Engine) -> Self {
        Self::start_with(engine, ServiceConfig::default())
    }

    /// Serves `engine` as `config` says. Must be called within a runtime.
    #[must_use]
    pub fn start_with(engine: Engine, config: ServiceConfig) -> Self {
        let (connections, incoming) = mpsc::channel(8);
        let (stop, stopped) = oneshot::channel();
        let served = engine.clone();
        let task = tokio::spawn(async move {
            let shutdown = async {
                // A server whose handle is dropped stops, too.
                let _told_or_gone = stopped.await;
            };
            serve(served, &config, ReceiverStream::new(incoming), shutdown).await
        });
        Self {
            engine,
            connections,
            stop: Some(stop),
            task,
        }
    }

    /// A connection of its own, as bytes.
    ///
    /// # Panics
    ///
    /// If the server has stopped.
    pub async fn pipe(&self) -> DuplexStream {
        let (here, there) = tokio::io::duplex(PIPE);
        self.connections.send(Ok(there)).await.expect("a server");
        here
    }

    /// A connection of its own.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn channel(&self) -> Channel {
        let connections = self.connections.clone();
        let connect = tower::service_fn(move |_| {
            let connections = connections.clone();
            async move {
                let (here, there) = tokio::io::duplex(PIPE);
                connections.send(Ok(there)).await.map_err(io::Error::other)?;
                io::Result::Ok(TokioIo::new(here))
            }
        });
        let endpoint = Endpoint::from_static("http://memory");
        endpoint
            .connect_with_connector(connect)
            .await
            .expect("a connection")
    }

    /// A client with a connection of its own, ready for batches of any size.
    pub async fn client(&self) -> BatchLoaderClient<Channel> {
        BatchLoaderClient::new(self.channel().await).max_decoding_message_size(usize::MAX)
    }

    /// Tells the server to stop.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits until the server has stopped.
    ///
    /// # Panics
    ///
    /// If the server failed.
    pub async fn stopped(self) {
        let Self {
            connections, task, ..
        } = self;
        drop(connections);
        let ended = within("the server stops", task).await;
        ended.expect("no panic").expect("a clean end");
    }
}

//! What a source has opened: an engine for a folder in this process, that of another process, or servers.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
};

use equibatch_engine::{
    Engine, EngineConfig, ScanOptions,
    dataset::{Progress, scan_with_progress},
    memory::available,
    pipeline::Limits,
};
use equibatch_server_service::socket::PrivateSocket;
use equibatch_stream::Servers;

use super::{
    error::Error,
    sharing::{Found, MAX_STREAMS, Serving, join},
};

#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for each loader, never in a collection"
)]
pub(crate) enum Origin {
    Folder(Folder),
    Servers(Arc<Servers>),
    /// The engine of another process of this machine.
    Shared(Arc<Servers>),
}

/// An engine of this process.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) engine: Engine,
    /// For other processes.
    _serving: Option<Arc<Serving>>,
}

/// A folder that is to be opened.
pub(crate) struct Opening {
    pub(crate) folder: PathBuf,
    /// Of the dataset.
    pub(crate) name: String,
    /// Memory for decoded images; by default a part of what is available.
    pub(crate) cache_bytes: Option<u64>,
    /// Of the scan.
    pub(crate) progress: Arc<Progress>,
    /// Processes of this machine that divide processors and memory if each has an engine of its own.
    pub(crate) processes: NonZeroU32,
}

/// Who has an engine, and who uses that of another process.
pub(crate) struct Sharing {
    /// The socket over which processes share an engine.
    pub(crate) socket: String,
    /// Whether this process may have the engine of the others.
    pub(crate) may_serve: bool,
    /// Engines that divide the memory, each shared by processes that run on the same processors.
    pub(crate) engines: NonZeroU32,
}

impl Opening {
    /// An engine of this process for itself.
    pub(crate) fn open_alone(&self) -> Result<Folder, Error> {
        Ok(Folder {
            engine: self.open((self.processes, self.processes))?,
            _serving: None,
        })
    }

    /// An engine for several processes, here or in another of them; `None` while another process is opening the folder.
    pub(crate) fn open_shared(&self, sharing: &Sharing) -> Result<Option<Origin>, Error> {
        let origin = match PrivateSocket::bind(&sharing.socket) {
            Ok(Some(socket)) if sharing.may_serve => {
                let engine = self.open((NonZeroU32::MIN, sharing.engines))?;
                let serving = Serving::start(engine.clone(), socket)?;
                Origin::Folder(Folder {
                    engine,
                    _serving: Some(Arc::new(serving)),
                })
            }
            Ok(None) => match join(&sharing.socket)? {
                Found::Engine(servers) => Origin::Shared((*servers).into()),
                Found::NotReady => return Ok(None),
                Found::Unusable => Origin::Folder(self.open_alone()?),
            },
            // No others are kept waiting by the name.
            Ok(Some(socket)) => {
                drop(socket);
                Origin::Folder(self.open_alone()?)
            }
            Err(error) => {
                tracing::debug!(%error, "no engine can be shared here");
                Origin::Folder(self.open_alone()?)
            }
        };
        Ok(Some(origin))
    }

    fn open(&self, among: (NonZeroU32, NonZeroU32)) -> Result<Engine, Error> {
        let dataset = scan_with_progress(&self.name, &self.folder, &ScanOptions::default(), &self.progress)?;
        Ok(Engine::new(config(among, self.cache_bytes), vec![dataset])?)
    }
}

/// The configuration of an engine beside a trainer, one of as many that divide the processors of this process, and half of the memory.
/// `cache_bytes` is the memory of decoded images, if it is given.
fn config((threads, memory): (NonZeroU32, NonZeroU32), cache_bytes: Option<u64>) -> EngineConfig {
    let default = EngineConfig::default();
    let threads = default.threads.get() / threads.get() as usize;
    let memory_bytes = (available() / 2 / u64::from(memory.get())).max(1 << 30);
    let (memory_bytes, cache_bytes) = match cache_bytes {
        Some(cache_bytes) => (memory_bytes.max(cache_bytes.saturating_add(1 << 30)), cache_bytes),
        None => {
            let without_batches = memory_bytes.saturating_sub(3 << 30);
            (
                memory_bytes,
                without_batches.clamp(memory_bytes / 4, memory_bytes / 2),
            )
        }
    };
    EngineConfig {
        threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        memory_bytes,
        cache_bytes,
        limits: Limits {
            open_streams: MAX_STREAMS,
            ..default.limits
        },
        ..default
    }
}

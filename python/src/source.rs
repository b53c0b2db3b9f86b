//! Where batches come from: an engine in this process, or servers.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
};

use equibatch_engine::{
    Dataset, Engine, EngineConfig, ScanOptions, Split,
    dataset::{effective_number, inverse_frequency},
    memory::available,
    pipeline::{Limits, Requester},
};
use equibatch_server_service::{ClientId, socket::PrivateSocket};
use equibatch_stream::{Credentials, DatasetDescription, Resolver, RetryPolicy, Servers, Token};
use equibatch_transport::stream_spec::stream_spec;
use pyo3::prelude::*;
use rustix::process::geteuid;

use super::{
    error::{Error, Kind},
    process::OfProcess,
    request::{Form, Request},
    sharing::{Found, MAX_STREAMS, Serving, join},
    slots::Slots,
    stream::{Batches, Stream},
    wait::{on_thread, wait_for},
};

/// Slots that a stream has in addition to those of batches received ahead: one at the caller, and those that are being written.
const SLOTS_BESIDE: usize = 3;

/// An engine in this process, or servers. Not usable in a forked child.
#[pyclass(frozen, weakref, module = "equibatch._native")]
#[derive(Debug)]
pub(crate) struct Source(OfProcess<Origin>);

#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for each loader, never in a collection"
)]
enum Origin {
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
    serving: Option<Arc<Serving>>,
}

/// What a source says about a dataset.
#[pyclass(frozen, get_all, module = "equibatch._native")]
#[derive(Debug)]
pub(crate) struct Description {
    name: String,
    fingerprint: String,
    classes: Vec<String>,
    /// Usable images by split and class, in label order.
    counts: BTreeMap<String, Vec<u32>>,
    inverse_frequency: Vec<f64>,
    effective_number: Vec<f64>,
    quarantined: Vec<(String, String)>,
}

/// The configuration of an engine beside a trainer, one of as many that divide the processors of this process, and half of the memory.
fn config((threads, memory): (NonZeroU32, NonZeroU32)) -> EngineConfig {
    let default = EngineConfig::default();
    let threads = default.threads.get() / threads.get() as usize;
    let memory_bytes = (available() / 2 / u64::from(memory.get())).max(1 << 30);
    EngineConfig {
        threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        memory_bytes,
        cache_bytes: memory_bytes
            .saturating_sub(3 << 30)
            .clamp(memory_bytes / 4, memory_bytes / 2),
        limits: Limits {
            open_streams: MAX_STREAMS,
            ..default.limits
        },
        ..default
    }
}

fn open_folder(folder: &Path, name: &str, among: (NonZeroU32, NonZeroU32)) -> Result<Engine, Error> {
    let dataset = Dataset::scan(name, folder, &ScanOptions::default())?;
    Ok(Engine::new(config(among), vec![dataset])?)
}

/// Who has an engine, and who uses that of another process.
struct Sharing {
    /// The socket over which processes share an engine.
    socket: String,
    /// Whether this process may have the engine of the others.
    may_serve: bool,
    /// Engines that divide the memory, each shared by processes that run on the same processors.
    engines: NonZeroU32,
    /// Processes that divide processors and memory if each has an engine of its own.
    processes: NonZeroU32,
}

/// `None` while another process is opening the folder.
fn open_shared(folder: &Path, name: &str, sharing: &Sharing) -> Result<Option<Origin>, Error> {
    let alone = |among| {
        open_folder(folder, name, among).map(|engine| Folder {
            engine,
            serving: None,
        })
    };
    let own = (sharing.processes, sharing.processes);
    let origin = match PrivateSocket::bind(&sharing.socket) {
        Ok(Some(socket)) if sharing.may_serve => {
            let mut folder = alone((NonZeroU32::MIN, sharing.engines))?;
            folder.serving = Some(Arc::new(Serving::start(folder.engine.clone(), socket)?));
            Origin::Folder(folder)
        }
        Ok(None) => match join(&sharing.socket)? {
            Found::Engine(servers) => Origin::Shared((*servers).into()),
            Found::NotReady => return Ok(None),
            Found::Unusable => Origin::Folder(alone(own)?),
        },
        // No others are kept waiting by the name.
        Ok(Some(socket)) => {
            drop(socket);
            Origin::Folder(alone(own)?)
        }
        Err(error) => {
            tracing::debug!(%error, "no engine can be shared here");
            Origin::Folder(alone(own)?)
        }
    };
    Ok(Some(origin))
}

fn describe(engine: &Engine, beta: f64) -> Result<Description, Error> {
    let served = engine.dataset("")?;
    let dataset = served.dataset();
    let counts: BTreeMap<String, Vec<u32>> = Split::ALL
        .into_iter()
        .map(|split| (split.name().to_owned(), served.counts(split).collect()))
        .collect();
    let train: Vec<u32> = served.counts(Split::Train).collect();
    let files = served.quarantined("", usize::MAX - 1).into_iter();
    Ok(Description {
        name: dataset.name.clone(),
        fingerprint: dataset.fingerprint.to_string(),
        classes: dataset.classes.clone(),
        inverse_frequency: inverse_frequency(&train),
        effective_number: effective_number(&train, beta),
        counts,
        quarantined: files.map(|file| (file.path, file.reason)).collect(),
    })
}

impl From<DatasetDescription> for Description {
    fn from(description: DatasetDescription) -> Self {
        let classes = &description.classes;
        let counts = |split: &str| classes.iter().map(|class| class.images(split)).collect();
        Self {
            counts: Split::ALL
                .into_iter()
                .map(|split| (split.name().to_owned(), counts(split.name())))
                .collect(),
            inverse_frequency: classes
                .iter()
                .map(|class| class.inverse_frequency_weight)
                .collect(),
            effective_number: classes
                .iter()
                .map(|class| class.effective_number_weight)
                .collect(),
            classes: classes.iter().map(|class| class.name.clone()).collect(),
            name: description.name,
            fingerprint: description.fingerprint,
            quarantined: description.quarantined,
        }
    }
}

#[pymethods]
impl Source {
    /// Scans the class folders of `folder`, and starts an engine for them in this process, one of `processes` of this machine that do so.
    #[staticmethod]
    fn open_folder(py: Python<'_>, folder: PathBuf, name: String, processes: NonZeroU32) -> PyResult<Self> {
        let opened = on_thread(py, move || open_folder(&folder, &name, (processes, processes)))?;
        let engine = opened.map_err(|error| error.raise(py))?;
        let serving = None;
        Ok(Self(OfProcess::new(Origin::Folder(Folder { engine, serving }))))
    }

    /// As `open_folder`, with one engine for all processes of this user that give the same `socket`, a name: that of the first of them that
    /// `may_serve`, as one of `engines` that divide the memory. Without such a process, or with a socket that is of no use, an engine of its own,
    /// as one of `processes`. `None` while another process is opening the folder.
    #[staticmethod]
    #[pyo3(signature = (folder, name, *, socket, may_serve, engines, processes))]
    fn open_shared(
        py: Python<'_>,
        folder: PathBuf,
        name: String,
        socket: String,
        may_serve: bool,
        engines: NonZeroU32,
        processes: NonZeroU32,
    ) -> PyResult<Option<Self>> {
        let sharing = Sharing {
            socket,
            may_serve,
            engines,
            processes,
        };
        let opened = on_thread(py, move || open_shared(&folder, &name, &sharing))?;
        let origin = opened.map_err(|error| error.raise(py))?;
        Ok(origin.map(|origin| Self(OfProcess::new(origin))))
    }

    /// Connects to servers, whose addresses are separated by commas.
    #[staticmethod]
    #[pyo3(signature = (addresses, token))]
    fn open_servers(py: Python<'_>, addresses: &str, token: Option<&str>) -> PyResult<Self> {
        let token = match token {
            None => None,
            Some(text) => Some(Token::new(text).ok_or_else(|| {
                let words = "EQUIBATCH_TOKEN is empty or has characters other than visible ASCII";
                Kind::Request.error(py, words.to_owned())
            })?),
        };
        let credentials = Credentials {
            token,
            ..Credentials::default()
        };
        let (retry_policy, resolver) = (RetryPolicy::default(), Resolver::default());
        let opening = Servers::open_async(addresses, retry_policy, &credentials, &resolver);
        let opened = wait_for(py, None, "no connection", opening)?;
        let servers = opened.map_err(|error| Error::from(error).raise(py))?;
        Ok(Self(OfProcess::new(Origin::Servers(Arc::new(servers)))))
    }

    /// Whether this process opened it, and may use it.
    #[getter]
    fn is_usable(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether the engine is that of another process of this machine.
    #[getter]
    fn is_shared(&self) -> bool {
        matches!(self.0.get(), Some(Origin::Shared(_)))
    }

    /// Images that the engine of this process has decoded for batches that were delivered; `None` if it has no engine.
    #[getter]
    fn decoded(&self) -> Option<u64> {
        match self.0.get()? {
            Origin::Folder(folder) => {
                let served = folder.engine.datasets().into_iter();
                Some(served.map(|served| served.metrics().read().sums.decodes).sum())
            }
            Origin::Servers(_) | Origin::Shared(_) => None,
        }
    }

    /// Describes a dataset, with loss weights by the effective number of images for `beta`.
    fn describe(&self, py: Python<'_>, dataset: String, beta: f64) -> PyResult<Description> {
        let described = match self.origin(py)? {
            Origin::Folder(folder) => describe(&folder.engine, beta),
            Origin::Servers(servers) | Origin::Shared(servers) => on_thread(py, move || {
                let described = servers.describe_with(&dataset, Some(beta));
                Ok(described?.into())
            })?,
        };
        described.map_err(|error| error.raise(py))
    }

    /// Opens a stream, which receives up to `prefetch` batches ahead from servers; waits for these for at most `timeout` seconds. With `allocate`,
    /// images are received into memory that it returns: given a number of bytes, an object, and an exporter of its writable memory.
    #[pyo3(signature = (request, prefetch, timeout, allocate = None))]
    fn stream(
        &self,
        py: Python<'_>,
        request: &Request,
        prefetch: usize,
        timeout: Option<f64>,
        allocate: Option<Py<PyAny>>,
    ) -> PyResult<Stream> {
        let (form, request) = (Form::of(&request.0), request.0.clone());
        let slots =
            allocate.map(|allocate| Slots::new(request.tensor_bytes(), prefetch + SLOTS_BESIDE, allocate));
        let pool = slots.as_ref().map(Slots::pool);
        let opened = match self.origin(py)? {
            Origin::Folder(folder) => on_thread(py, move || {
                let engine = &folder.engine;
                // The engine has one dataset, and a server's name for it need not be known here.
                let served = engine.dataset("")?;
                let spec = stream_spec(request.to_wire(), served.dataset())?;
                // The same client as the others, of which each has the same share of the processors.
                let name = ClientId::User(geteuid().as_raw()).key();
                let limits = engine.limits();
                let stream = engine.stream_into(Requester { name: &name, limits }, spec, pool)?;
                Ok(Batches::in_process(folder, stream))
            })?,
            Origin::Servers(servers) | Origin::Shared(servers) => {
                let opening = servers.stream_into(&request, prefetch, pool);
                let opened = wait_for(py, timeout, "no stream", opening)?;
                opened.map(Batches::Servers).map_err(Error::from)
            }
        };
        let batches = opened.map_err(|error| error.raise(py))?;
        // Not before the request is known to be valid, and its batches to be of a reasonable size.
        slots.iter().try_for_each(|slots| slots.supply(py))?;
        Ok(Stream::new(batches, form, slots))
    }
}

impl Source {
    fn origin(&self, py: Python<'_>) -> PyResult<Origin> {
        let words = "this process is a fork of the one that opened the source";
        let origin = self.0.get().cloned();
        origin.ok_or_else(|| Kind::Fork.error(py, words.to_owned()))
    }
}

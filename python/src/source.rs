//! Where batches come from: an engine in this process, or servers.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
};

use equibatch_engine::{
    Dataset, Engine, EngineConfig, ScanOptions, Split,
    dataset::{effective_number, inverse_frequency},
    memory::available,
};
use equibatch_stream::{Credentials, DatasetDescription, Resolver, RetryPolicy, Servers, Token};
use equibatch_transport::stream_spec::stream_spec;
use pyo3::prelude::*;

use super::{
    error::{Error, Kind},
    process::OfProcess,
    request::{Form, Request},
    stream::{Batches, Stream},
    wait::{on_thread, wait_for},
};

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
    Folder(Engine),
    Servers(Arc<Servers>),
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

/// The configuration of an engine beside a trainer, in one of `processes` processes of this machine that have one: together they take all
/// processors and half of the memory.
fn config(processes: NonZeroU32) -> EngineConfig {
    let default = EngineConfig::default();
    let threads = default.threads.get() / processes.get() as usize;
    let memory_bytes = (available() / 2 / u64::from(processes.get())).max(1 << 30);
    EngineConfig {
        threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        memory_bytes,
        cache_bytes: memory_bytes
            .saturating_sub(3 << 30)
            .clamp(memory_bytes / 4, memory_bytes / 2),
        ..default
    }
}

fn open_folder(folder: &PathBuf, name: &str, processes: NonZeroU32) -> Result<Engine, Error> {
    let dataset = Dataset::scan(name, folder, &ScanOptions::default())?;
    let config = config(processes);
    Ok(Engine::new(config, vec![dataset])?)
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
        let opened = on_thread(py, move || open_folder(&folder, &name, processes))?;
        let engine = opened.map_err(|error| error.raise(py))?;
        Ok(Self(OfProcess::new(Origin::Folder(engine))))
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

    /// Describes a dataset, with loss weights by the effective number of images for `beta`.
    fn describe(&self, py: Python<'_>, dataset: String, beta: f64) -> PyResult<Description> {
        let described = match self.origin(py)? {
            Origin::Folder(engine) => describe(&engine, beta),
            Origin::Servers(servers) => on_thread(py, move || {
                let described = servers.describe_with(&dataset, Some(beta));
                Ok(described?.into())
            })?,
        };
        described.map_err(|error| error.raise(py))
    }

    /// Opens a stream, which receives up to `prefetch` batches ahead from servers; waits for these for at most `timeout` seconds.
    #[pyo3(signature = (request, prefetch, timeout))]
    fn stream(
        &self,
        py: Python<'_>,
        request: &Request,
        prefetch: usize,
        timeout: Option<f64>,
    ) -> PyResult<Stream> {
        let (form, request) = (Form::of(&request.0), request.0.clone());
        let opened = match self.origin(py)? {
            Origin::Folder(engine) => on_thread(py, move || {
                // The engine has one dataset, and a server's name for it need not be known here.
                let served = engine.dataset("")?;
                let spec = stream_spec(request.to_wire(), served.dataset())?;
                let stream = engine.stream(spec)?;
                Ok(Batches::in_process(engine, stream))
            })?,
            Origin::Servers(servers) => {
                let opening = servers.stream_async(&request, prefetch);
                let opened = wait_for(py, timeout, "no stream", opening)?;
                opened.map(Batches::Servers).map_err(Error::from)
            }
        };
        let batches = opened.map_err(|error| error.raise(py))?;
        Ok(Stream::new(batches, form))
    }
}

impl Source {
    fn origin(&self, py: Python<'_>) -> PyResult<Origin> {
        let words = "this process is a fork of the one that opened the source";
        let origin = self.0.get().cloned();
        origin.ok_or_else(|| Kind::Fork.error(py, words.to_owned()))
    }
}

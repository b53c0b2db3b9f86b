//! Where batches come from: an engine in this process, or servers.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, sync::Arc};

use equibatch_engine::{
    Engine, Split,
    dataset::{Progress, effective_number, inverse_frequency},
    pipeline::Requester,
};
use equibatch_server_service::ClientId;
use equibatch_stream::{self as stream, Credentials, DatasetDescription, RetryPolicy, Servers, Token};
use equibatch_transport::stream_spec::stream_spec;
use pyo3::prelude::*;
use rustix::process::geteuid;

use super::{
    error::{Error, Kind},
    origin::{Opening, Origin, Sharing},
    process::OfProcess,
    request::{Form, Request},
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
    /// Calls `progress` with the number of files read so far and of all files; that is 0 while folders are listed.
    #[staticmethod]
    fn open_folder(
        py: Python<'_>,
        folder: PathBuf,
        name: String,
        processes: NonZeroU32,
        cache_bytes: Option<u64>,
        progress: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let opening = Opening {
            folder,
            name,
            cache_bytes,
            progress: Arc::default(),
            processes,
        };
        let report = reporter(Arc::clone(&opening.progress), progress);
        let opened = on_thread(py, None, "no dataset", report, move || opening.open_alone())?;
        let folder = opened.map_err(|error| error.raise(py))?;
        Ok(Self(OfProcess::new(Origin::Folder(folder))))
    }

    /// As `open_folder`, with one engine for all processes of this user that give the same `socket`, a name: that of the first of them that
    /// `may_serve`, as one of `engines` that divide the memory. Without such a process, or with a socket that is of no use, an engine of its own,
    /// as one of `processes`. `None` while another process is opening the folder.
    #[staticmethod]
    #[pyo3(signature = (folder, name, *, socket, may_serve, engines, processes, cache_bytes, progress))]
    #[allow(clippy::too_many_arguments, reason = "most are named in Python")]
    fn open_shared(
        py: Python<'_>,
        folder: PathBuf,
        name: String,
        socket: String,
        may_serve: bool,
        engines: NonZeroU32,
        processes: NonZeroU32,
        cache_bytes: Option<u64>,
        progress: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Self>> {
        let opening = Opening {
            folder,
            name,
            cache_bytes,
            progress: Arc::default(),
            processes,
        };
        let sharing = Sharing {
            socket,
            may_serve,
            engines,
        };
        let report = reporter(Arc::clone(&opening.progress), progress);
        let opened = on_thread(py, None, "no dataset", report, move || {
            opening.open_shared(&sharing)
        })?;
        let origin = opened.map_err(|error| error.raise(py))?;
        Ok(origin.map(|origin| Self(OfProcess::new(origin))))
    }

    /// Connects to servers, whose addresses are separated by commas, and waits until one answers, for at most `timeout` seconds.
    #[staticmethod]
    #[pyo3(signature = (addresses, token, timeout))]
    fn open_servers(
        py: Python<'_>,
        addresses: String,
        token: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
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
        let opened = on_thread(py, timeout, "no answer", no_report, move || {
            let servers = Servers::open_with(&addresses, RetryPolicy::default(), &credentials)?;
            // A stream waits for minutes for a server to come back, and so it would for one that never was at this address.
            servers.datasets()?;
            Ok::<_, stream::Error>(servers)
        })?;
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

    /// Images that the engine of this process has decoded so far; `None` if it has no engine.
    #[getter]
    fn decoded(&self) -> Option<u64> {
        match self.0.get()? {
            Origin::Folder(folder) => Some(folder.engine.cache().stats().misses),
            Origin::Servers(_) | Origin::Shared(_) => None,
        }
    }

    /// Describes a dataset, with loss weights by the effective number of images for `beta`; waits for servers for at most `timeout` seconds.
    #[pyo3(signature = (dataset, beta, timeout))]
    fn describe(
        &self,
        py: Python<'_>,
        dataset: String,
        beta: f64,
        timeout: Option<f64>,
    ) -> PyResult<Description> {
        let described = match self.origin(py)? {
            Origin::Folder(folder) => describe(&folder.engine, beta),
            Origin::Servers(servers) | Origin::Shared(servers) => {
                on_thread(py, timeout, "no answer", no_report, move || {
                    let described = servers.describe_with(&dataset, Some(beta));
                    Ok(described?.into())
                })?
            }
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
            Origin::Folder(folder) => on_thread(py, None, "no stream", no_report, move || {
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

/// Calls `progress` with the files read and found.
fn reporter(counts: Arc<Progress>, progress: &Bound<'_, PyAny>) -> impl FnMut() -> PyResult<()> {
    move || progress.call1(counts.read_of_files()).map(drop)
}

#[allow(clippy::unnecessary_wraps, reason = "stands for one that can fail")]
fn no_report() -> PyResult<()> {
    Ok(())
}

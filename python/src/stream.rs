//! A stream of batches, from an engine in this process or from servers.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use equibatch_engine::pipeline::{self, ClientReport};
use equibatch_stream as stream;
use pyo3::prelude::*;
use tokio::sync::Mutex;

use super::{
    error::{Error, Kind},
    origin::Folder,
    process::OfProcess,
    request::Form,
    slots::Slots,
    tensor::Tensor,
    wait::{wait_for, wait_reporting},
};

/// A stream of batches. Not usable in a forked child.
#[pyclass(frozen, module = "equibatch._native")]
#[derive(Debug)]
pub(crate) struct Stream {
    batches: OfProcess<Mutex<Batches>>,
    form: Form,
    slots: Option<Slots>,
    description: StreamDescription,
}

/// The batches of a stream.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for each loader, never in a collection"
)]
pub(crate) enum Batches {
    InProcess {
        folder: Folder,
        stream: pipeline::BatchStream,
        timer: Timer,
    },
    Servers(stream::BatchStream),
}

/// How long the caller worked and waited in an epoch.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    asked: Option<Instant>,
    given: Option<Instant>,
    report: ClientReport,
}

/// What a stream consists of.
#[pyclass(frozen, get_all, from_py_object, module = "equibatch._native")]
#[derive(Clone, Debug)]
pub(crate) struct StreamDescription {
    dataset: String,
    fingerprint: String,
    spec_hash: String,
    classes: Vec<String>,
    steps_per_epoch: u64,
    images_per_epoch: u64,
    draws_per_class: Vec<u64>,
    mean: [f32; 3],
    std: [f32; 3],
    recipe: String,
    transport: String,
}

/// A batch, from either source.
struct Received {
    epoch: u64,
    step: u64,
    next: (u64, u64),
    labels: Vec<u32>,
    samples: Vec<u32>,
    replacements: Vec<(u32, u32)>,
    mixed: Option<(Vec<u32>, Vec<f32>)>,
    tensor: Bytes,
}

impl From<pipeline::Batch> for Received {
    fn from(batch: pipeline::Batch) -> Self {
        let replacements = batch.replacements.iter();
        let mixed = |mixed: Vec<pipeline::Mixed>| mixed.iter().map(|one| (one.label, one.weight)).unzip();
        Self {
            epoch: batch.position.epoch,
            step: batch.position.step,
            next: (batch.next.epoch, batch.next.step),
            labels: batch.labels,
            samples: batch.samples,
            replacements: replacements.map(|one| (one.slot as u32, one.broken)).collect(),
            mixed: batch.mixed.map(mixed),
            tensor: batch.tensor,
        }
    }
}

impl From<stream::Batch> for Received {
    fn from(batch: stream::Batch) -> Self {
        let mixed = |mixed: Vec<stream::Mixed>| mixed.iter().map(|one| (one.label, one.weight)).unzip();
        Self {
            epoch: batch.epoch,
            step: batch.step,
            next: (batch.next.epoch, batch.next.step),
            labels: batch.labels,
            samples: batch.samples,
            replacements: batch.replacements,
            mixed: batch.mixed.map(mixed),
            tensor: batch.tensor,
        }
    }
}

impl Batches {
    pub(crate) fn in_process(folder: Folder, stream: pipeline::BatchStream) -> Self {
        let timer = Timer::default();
        Self::InProcess {
            folder,
            stream,
            timer,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Received, Error>>> {
        match self {
            Self::InProcess { stream, timer, .. } => {
                timer.asked(Instant::now());
                let polled = stream.poll_next(context);
                if polled.is_ready() {
                    timer.given(Instant::now());
                }
                polled.map_ok(Received::from).map_err(Error::from)
            }
            Self::Servers(stream) => {
                let polled = stream.poll_next(context);
                polled.map_ok(Received::from).map_err(Error::from)
            }
        }
    }

    async fn end_epoch(&mut self, epoch: u64) -> Option<(String, f64)> {
        match self {
            Self::InProcess {
                folder,
                stream,
                timer,
            } => {
                let (id, report) = (stream.description().id, timer.take(Instant::now()));
                let (bottleneck, share) = folder.engine.report((id, ""), epoch, &report)?.bottleneck();
                Some((bottleneck.to_string(), share))
            }
            Self::Servers(stream) => {
                let report = stream.end_epoch_async(epoch).await?;
                Some((report.bottleneck.to_string(), report.share))
            }
        }
    }

    fn description(&self) -> StreamDescription {
        match self {
            Self::InProcess { stream, .. } => {
                let description = stream.description();
                let (spec, dataset) = (&description.spec, description.served.dataset());
                StreamDescription {
                    dataset: dataset.name.clone(),
                    fingerprint: dataset.fingerprint.to_string(),
                    spec_hash: format!("{:?}", description.spec_hash),
                    classes: dataset.classes.clone(),
                    steps_per_epoch: description.steps_per_epoch,
                    images_per_epoch: description.images_per_epoch,
                    draws_per_class: description.quotas.first().to_vec(),
                    mean: spec.tensor.normalization.mean,
                    std: spec.tensor.normalization.std,
                    recipe: spec.recipe.to_string(),
                    transport: "in process".to_owned(),
                }
            }
            Self::Servers(stream) => {
                let description = stream.description().clone();
                StreamDescription {
                    dataset: description.dataset,
                    fingerprint: description.fingerprint,
                    spec_hash: description.spec_hash,
                    classes: description.classes,
                    steps_per_epoch: description.steps_per_epoch,
                    images_per_epoch: description.images_per_epoch,
                    draws_per_class: description.draws_per_class,
                    mean: description.mean,
                    std: description.std,
                    recipe: description.recipe,
                    transport: stream.transports().to_owned(),
                }
            }
        }
    }
}

impl Timer {
    fn asked(&mut self, now: Instant) {
        if self.asked.is_none() {
            self.report.working += self.given.map_or(Duration::ZERO, |given| now - given);
            self.asked = Some(now);
        }
    }

    fn given(&mut self, now: Instant) {
        self.report.waiting += self.asked.take().map_or(Duration::ZERO, |asked| now - asked);
        self.report.steps += 1;
        self.given = Some(now);
    }

    fn take(&mut self, now: Instant) -> ClientReport {
        if let Some(given) = self.given.replace(now) {
            self.report.working += now - given;
        }
        std::mem::take(&mut self.report)
    }
}

/// Epoch, step, position of the next batch, images, labels, sample ids, replacements, and of mixed images labels and weights.
type Fields = (
    u64,
    u64,
    (u64, u64),
    Images,
    Tensor,
    Tensor,
    Vec<(u32, u32)>,
    Option<Tensor>,
    Option<Tensor>,
);

/// The images of a batch.
#[derive(IntoPyObject)]
enum Images {
    Array(Tensor),
    /// An object that was allocated for them, their element type and shape.
    InSlot(Py<PyAny>, &'static str, [usize; 4]),
}

impl Stream {
    pub(crate) fn new(batches: Batches, form: Form, slots: Option<Slots>) -> Self {
        Self {
            form,
            slots,
            description: batches.description(),
            batches: OfProcess::new(Mutex::new(batches)),
        }
    }

    fn batches(&self, py: Python<'_>) -> PyResult<&Mutex<Batches>> {
        let words = "this process is a fork of the one that opened the stream: call iter(loader) here";
        self.batches
            .get()
            .ok_or_else(|| Kind::Fork.error(py, words.to_owned()))
    }

    fn fields(&self, py: Python<'_>, received: Received) -> Fields {
        let (dtype, shape) = (self.form.dtype(), self.form.shape(received.labels.len()));
        let address = received.tensor.as_ptr().addr();
        let slot = self.slots.as_ref().and_then(|slots| slots.delivered(py, address));
        let images = match slot {
            Some(object) => {
                // From here on, the memory is that of the object only.
                drop(received.tensor);
                Images::InSlot(object, dtype.name(), shape)
            }
            None => Images::Array(Tensor::new(received.tensor, dtype, &shape)),
        };
        let (mixed_labels, mixed_weights) = received.mixed.unzip();
        (
            received.epoch,
            received.step,
            received.next,
            images,
            Tensor::integers(received.labels.into_iter()),
            Tensor::integers(received.samples.into_iter()),
            received.replacements,
            mixed_labels.map(|labels| Tensor::integers(labels.into_iter())),
            mixed_weights.map(Tensor::floats),
        )
    }
}

#[pymethods]
impl Stream {
    #[getter]
    fn description(&self) -> StreamDescription {
        self.description.clone()
    }

    /// Whether this process opened it, and may use it.
    #[getter]
    fn is_usable(&self) -> bool {
        self.batches.get().is_some()
    }

    /// Waits for the next batch, for at most `timeout` seconds; `None` after the last one. Calls `report` meanwhile, and at the end.
    #[pyo3(signature = (timeout, report = None))]
    fn next(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        report: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Fields>> {
        let batches = self.batches(py)?;
        self.slots.iter().try_for_each(|slots| slots.supply(py))?;
        let next = async {
            let mut batches = batches.lock().await;
            poll_fn(|context| batches.poll_next(context)).await
        };
        let report = || report.map_or(Ok(()), |report| report.call0().map(drop));
        let received = wait_reporting(py, timeout, "no batch", report, next)?
            .transpose()
            .map_err(|error| error.raise(py))?;
        Ok(received.map(|received| self.fields(py, received)))
    }

    /// Ends an epoch of which all batches were used: what it waited for most, and the share of the time.
    fn end_epoch(&self, py: Python<'_>, epoch: u64) -> PyResult<Option<(String, f64)>> {
        let batches = self.batches(py)?;
        wait_for(py, None, "no report", async {
            batches.lock().await.end_epoch(epoch).await
        })
    }
}

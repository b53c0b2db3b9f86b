//! The plan of an epoch over labels that Python has: what `equibatch.torch.BalancedBatchSampler` draws from.

use equibatch_engine::{
    checksum::crc32c,
    pipeline::Shard,
    sampling::{Balance, LastBatch, Order, Plan, PlanSpec},
};
use pyo3::{
    buffer::{Element, PyBuffer},
    exceptions::{PyIndexError, PyTypeError, PyValueError},
    prelude::*,
    types::PyBytes,
};

/// Labels must be below this: there is a list of samples for each class.
const MAX_CLASSES: i64 = 1 << 24;

/// Which samples make up batch `step` of `epoch`, for samples that are known by their labels only.
#[derive(Debug)]
#[pyclass(frozen, module = "equibatch._native")]
pub(crate) struct SamplerPlan {
    plan: Plan,
    labels: Vec<u32>,
    class_counts: Vec<u64>,
}

#[pymethods]
impl SamplerPlan {
    /// Plans batches of `batch_size` samples over all ranks.
    ///
    /// `labels` has one integer for each sample. `balance` is a policy, a schedule over `epochs`, or a weight for each of `classes` (in label order).
    #[new]
    #[pyo3(signature = (labels, *, balance, epochs, classes, batch_size, drop_last, num_samples, seed))]
    #[allow(clippy::too_many_arguments, reason = "all are named in Python")]
    fn new(
        py: Python<'_>,
        labels: &Bound<'_, PyAny>,
        balance: PolicyOrWeights,
        epochs: Option<u32>,
        classes: Option<usize>,
        batch_size: u32,
        drop_last: bool,
        num_samples: Option<u64>,
        seed: u64,
    ) -> PyResult<Self> {
        let labels = integers(labels)?;
        py.detach(|| {
            let (labels, members) = members(&labels, classes)?;
            let balance: Balance = balance.try_into()?;
            let balance = match epochs {
                Some(epochs) => balance.over(epochs),
                None => balance,
            };
            let class_counts = members.iter().map(|members| members.len() as u64).collect();
            let plan = Plan::new(PlanSpec {
                members: members.into(),
                balance,
                images_per_epoch: num_samples,
                batch_size,
                last_batch: if drop_last {
                    LastBatch::Drop
                } else {
                    LastBatch::Keep
                },
                order: Order::Shuffled,
                seed,
            })
            .map_err(invalid)?;
            Ok(Self {
                plan,
                labels,
                class_counts,
            })
        })
    }

    /// Batches in an epoch.
    #[getter]
    fn steps_per_epoch(&self) -> u64 {
        self.plan.steps_per_epoch()
    }

    /// Samples in an epoch, over all batches and ranks.
    #[getter]
    fn samples_per_epoch(&self) -> u64 {
        self.plan.images_per_epoch()
    }

    /// Draws of each class in `epoch`, in label order.
    fn draws_per_class(&self, epoch: u64) -> Vec<u64> {
        self.plan.quotas().in_epoch(epoch)
    }

    /// Whether the draws of a class differ by epoch.
    #[getter]
    fn is_schedule(&self) -> bool {
        self.plan.quotas().change().is_some()
    }

    /// Samples of each class, in label order.
    #[getter]
    fn class_counts(&self) -> Vec<u64> {
        self.class_counts.clone()
    }

    /// CRC-32C of the labels, as 32-bit little-endian integers.
    #[getter]
    fn labels_crc32c(&self) -> u32 {
        crc32c(bytemuck::cast_slice(&self.labels))
    }

    /// The labels, as 32-bit integers.
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, bytemuck::cast_slice(&self.labels))
    }

    /// Samples in the batch `step` of any epoch, over all ranks.
    fn batch_len(&self, step: u64) -> u64 {
        self.plan.batch_len(step)
    }

    /// Indices of the samples of `rank` in batch `step` of `epoch`.
    fn batch(&self, epoch: u64, step: u64, rank: u32, world_size: u32) -> PyResult<Vec<u32>> {
        if step >= self.plan.steps_per_epoch() || rank >= world_size {
            let steps = self.plan.steps_per_epoch();
            return Err(PyIndexError::new_err(format!(
                "step {step} of {steps}, rank {rank} of {world_size}"
            )));
        }
        let shard = Shard {
            world: world_size,
            rank,
        };
        let places = 0..shard.share(self.plan.batch_len(step) as usize);
        let places: Vec<u64> = places.map(|index| shard.place(index) as u64).collect();
        let slots = self.plan.slots(epoch, step, &places);
        Ok(slots.iter().map(|slot| slot.sample).collect())
    }
}

/// A policy by name, or a weight for each class.
#[derive(FromPyObject)]
enum PolicyOrWeights {
    Policy(String),
    Weights(Vec<f64>),
}

impl TryFrom<PolicyOrWeights> for Balance {
    type Error = PyErr;

    fn try_from(balance: PolicyOrWeights) -> PyResult<Self> {
        match balance {
            PolicyOrWeights::Weights(weights) => Ok(Self::Weights(weights)),
            PolicyOrWeights::Policy(policy) => policy.parse().map_err(|reason| {
                PyValueError::new_err(format!(
                    "balance is {policy:?}: {reason}, or weights as a mapping, {{label: weight}}"
                ))
            }),
        }
    }
}

/// The labels as `u32`, and the samples of each class.
fn members(labels: &[i64], classes: Option<usize>) -> PyResult<(Vec<u32>, Vec<Vec<u32>>)> {
    if u32::try_from(labels.len()).is_err() {
        return Err(PyValueError::new_err(format!(
            "labels has {} entries: at most {} are supported",
            labels.len(),
            u32::MAX
        )));
    }
    let (least, most) = labels.iter().fold((0, -1), |(least, most), &label| {
        (label.min(least), label.max(most))
    });
    let bound = classes.map_or(MAX_CLASSES, |classes| classes as i64);
    if let Some(label) = [least, most]
        .into_iter()
        .find(|label| !(-1..bound).contains(label))
    {
        return Err(PyValueError::new_err(format!(
            "labels has the label {label}: integers must be from 0 to {}; number other labels in order, as \
             numpy.unique(labels, return_inverse=True)[1] does",
            bound - 1
        )));
    }
    if least < 0 {
        return Err(PyValueError::new_err(format!(
            "labels has the label {least}: samples without a label must be left out"
        )));
    }
    let classes = classes.unwrap_or((most + 1) as usize);
    let labels: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
    let mut counts = vec![0; classes];
    for &label in &labels {
        counts[label as usize] += 1;
    }
    let mut members: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (sample, &label) in (0..).zip(&labels) {
        members[label as usize].push(sample);
    }
    Ok((labels, members))
}

/// Integers from a buffer (NumPy, `array`, `memoryview`), or from a sequence.
fn integers(labels: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    macro_rules! from_buffer_of {
        ($($element:ty)*) => {
            $(if let Some(integers) = from_buffer::<$element>(labels)? {
                return Ok(integers);
            })*
        };
    }
    from_buffer_of!(i64 i32 u8 u32 i16 u16 i8);
    labels.extract().map_err(|_| {
        PyTypeError::new_err("labels must be a sequence or an array of integers, one for each sample")
    })
}

fn from_buffer<T: Element + Into<i64>>(labels: &Bound<'_, PyAny>) -> PyResult<Option<Vec<i64>>> {
    let Ok(buffer) = PyBuffer::<T>::get(labels) else {
        return Ok(None);
    };
    if buffer.dimensions() != 1 {
        return Err(PyValueError::new_err(format!(
            "labels has {} dimensions: it must have 1, with one label for each sample",
            buffer.dimensions()
        )));
    }
    let elements = buffer.to_vec(labels.py())?;
    Ok(Some(elements.into_iter().map(Into::into).collect()))
}

fn invalid(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

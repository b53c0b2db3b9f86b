//! What Python asks for, as a request.

use std::collections::BTreeMap;

use equibatch_stream::{Balance, BatchDtype, BatchRequest, LastBatch, Position, Shard, Split, Stride};
use pyo3::prelude::*;

use super::{error::Kind, tensor::Dtype};

/// A balance: as text, or as a weight per class.
#[derive(Clone, Debug, FromPyObject)]
enum GivenBalance {
    Text(String),
    Weights(BTreeMap<String, f64>),
}

/// A request for batches; see `equibatch.Loader`.
#[pyclass(frozen, module = "equibatch._native")]
#[derive(Clone, Debug)]
pub(crate) struct Request(pub(crate) BatchRequest);

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (*, dataset, split, seed, epochs, schedule_epochs, start, shard, batch_size, image_size, balance, recipe, dtype, channels_last, drop_last, stride))]
    #[allow(
        clippy::too_many_arguments,
        reason = "keyword arguments, of which each is a field of the request"
    )]
    fn new(
        py: Python<'_>,
        dataset: &str,
        split: &str,
        seed: u64,
        epochs: u32,
        schedule_epochs: Option<u32>,
        start: (u64, u64, String, String),
        shard: (u32, u32),
        batch_size: u32,
        image_size: u32,
        balance: Option<GivenBalance>,
        recipe: Option<String>,
        dtype: &str,
        channels_last: bool,
        drop_last: Option<bool>,
        stride: (u32, u32),
    ) -> PyResult<Self> {
        let refused = |words: String| Kind::Request.error(py, words);
        let split: Split = split
            .parse()
            .map_err(|error| refused(format!("split: {error}")))?;
        let balance = match balance {
            None => None,
            Some(GivenBalance::Weights(weights)) => Some(Balance::Weights(weights)),
            Some(GivenBalance::Text(text)) => Some(
                text.parse()
                    .map_err(|error| refused(format!("balance: {error}")))?,
            ),
        };
        if let (Some(schedule @ Balance::Schedule { .. }), None) = (&balance, schedule_epochs) {
            return Err(refused(format!(
                "balance is {schedule}, which changes over the epochs: give their number, epochs="
            )));
        }
        let (epoch, step, spec_hash, fingerprint) = start;
        let (rank, world) = shard;
        let (index, of) = stride;
        Ok(Self(BatchRequest {
            seed,
            epochs,
            start: Some(Position {
                spec_hash,
                fingerprint,
                seed,
                epoch,
                step,
                world,
            }),
            shard: Shard { world, rank },
            balance,
            schedule_epochs: schedule_epochs.map(|epochs| 0..epochs),
            recipe: recipe.unwrap_or_default(),
            last_batch: drop_last.map(|drop| if drop { LastBatch::Drop } else { LastBatch::Keep }),
            stride: Stride { of, index },
            wire: dtype
                .parse()
                .map_err(|error| refused(format!("dtype: {error}")))?,
            channels_last,
            reports: true,
            ..BatchRequest::evaluation(dataset, split, batch_size, image_size)
        }))
    }
}

/// The form of the images of one batch of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    dtype: Dtype,
    side: usize,
    channels_last: bool,
}

impl Form {
    pub(crate) fn of(request: &BatchRequest) -> Self {
        Self {
            dtype: match request.wire {
                BatchDtype::F32 => Dtype::F32,
                BatchDtype::F16 => Dtype::F16,
                BatchDtype::U8 => Dtype::U8,
            },
            side: request.image_size as usize,
            channels_last: request.channels_last,
        }
    }

    pub(crate) fn dtype(self) -> Dtype {
        self.dtype
    }

    /// Shape of a batch of `images` images.
    pub(crate) fn shape(self, images: usize) -> [usize; 4] {
        let side = self.side;
        if self.channels_last {
            [images, side, side, 3]
        } else {
            [images, 3, side, side]
        }
    }
}

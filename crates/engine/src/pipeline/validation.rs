//! Validation of a stream's specification.

use std::fmt;

use super::{Limits, position::Stride, spec::StreamSpec};
use crate::{byte_size, dataset::Split, sampling::LastBatch, tensor::TensorSpec};

impl StreamSpec {
    /// Checks every field against its range and the limits. What depends on the dataset is checked when the stream is opened.
    ///
    /// # Errors
    ///
    /// The first invalid field, with its value and its range.
    pub fn validate(&self, limits: &Limits) -> Result<(), Error> {
        let size = limits.image_size.min(TensorSpec::MAX_SIZE);
        in_range("epochs", self.epochs, 1, limits.epochs, "--max-epochs")?;
        in_range(
            "batch_size",
            self.batch_size,
            1,
            limits.batch_size,
            "--max-batch-size",
        )?;
        in_range("image_size", self.tensor.size, 1, size, "--max-image-size")?;
        in_range("shard.world", self.shard.world, 1, limits.world, "--max-world")?;
        in_range("shard.world", self.shard.world, 1, self.batch_size, None)?;
        in_range("shard.rank", self.shard.rank, 0, self.shard.world - 1, None)?;
        in_range("stride.of", self.stride.of, 1, Stride::MAX, None)?;
        in_range("stride.index", self.stride.index, 0, self.stride.of - 1, None)?;
        in_range(
            "weight",
            self.weight,
            1,
            limits.weight,
            "weight= of its token in --tokens",
        )?;
        self.recipe.validate().map_err(Error::Recipe)?;
        for (field, values) in [
            ("normalization.mean", self.tensor.normalization.mean),
            ("normalization.std", self.tensor.normalization.std),
        ] {
            let is_std = field == "normalization.std";
            if let Some(value) = values
                .into_iter()
                .find(|v| !v.is_finite() || (is_std && !(v.is_normal() && *v > 0.0)))
            {
                let range = if is_std { "positive" } else { "finite" };
                return Err(Error::Number {
                    field,
                    value: f64::from(value),
                    range,
                });
            }
        }
        if self.split != Split::Train && self.last_batch == LastBatch::Wrap {
            return Err(Error::WrapOutsideTrain { split: self.split });
        }
        if self.split != Split::Train && self.recipe.mixes() {
            return Err(Error::MixingOutsideTrain { split: self.split });
        }
        let bytes = self.batch_bytes() as u64;
        if bytes > limits.batch_bytes {
            return Err(Error::BatchTooLarge {
                batch_size: self.batch_size,
                bytes,
                limit: limits.batch_bytes,
            });
        }
        Ok(())
    }
}

/// `flag` is the server's flag that raises `most`, if there is one.
fn in_range(
    field: &'static str,
    value: u32,
    least: u32,
    most: u32,
    flag: impl Into<Option<&'static str>>,
) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::Range {
            field,
            value,
            least,
            most,
            limit: Limit(flag.into().filter(|_| value > most)),
        })
    }
}

/// The flag of the server that raises a limit, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<&'static str>);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(flag) => write!(f, "; the server's operator can allow more by {flag}"),
            None => Ok(()),
        }
    }
}

/// An invalid request. Fields have the names of the protocol.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An integer out of range.
    #[error("{field} is {value}: it must be from {least} to {most}{limit}")]
    Range {
        /// Name in the protocol.
        field: &'static str,
        /// Value in the request.
        value: u32,
        /// Smallest allowed value.
        least: u32,
        /// Largest allowed value.
        most: u32,
        /// The flag that raises `most`.
        limit: Limit,
    },
    /// A real number out of range.
    #[error("{field} is {value}: it must be {range}")]
    Number {
        /// Name in the protocol.
        field: &'static str,
        /// Value in the request.
        value: f64,
        /// The accepted range.
        range: &'static str,
    },
    /// The recipe is invalid.
    #[error(transparent)]
    Recipe(crate::augment::Error),
    /// A batch exceeds the limit on bytes.
    #[error(
        "batch_size {batch_size} makes batches of {}: at most {} are allowed (--max-batch-bytes of the server, max-batch-bytes of a token)",
        byte_size::text(*bytes),
        byte_size::text(*limit)
    )]
    BatchTooLarge {
        /// Images in the global batch.
        batch_size: u32,
        /// Bytes of this shard's tensor.
        bytes: u64,
        /// Maximum bytes.
        limit: u64,
    },
    /// `WRAP` repeats images, which only the train split allows.
    #[error("last_batch is WRAP: the {} split is not repeated, use KEEP or DROP", split.name())]
    WrapOutsideTrain {
        /// The split in the request.
        split: Split,
    },
    /// Mixing is for the train split only.
    #[error("recipe mixes images by mixup or cutmix: that is for the train split, not for {}", split.name())]
    MixingOutsideTrain {
        /// The split in the request.
        split: Split,
    },
}

//! What the owner of a token may do.

use std::collections::BTreeSet;

use equibatch_engine::{byte_size, pipeline::Limits};
use tokio_util::sync::CancellationToken;

/// The permissions of a token, and their revocation.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    pub(crate) permissions: Permissions,
    /// Cancelled when the token is removed from the file or its permissions change.
    pub(crate) revoked: CancellationToken,
}

/// The fields of a line after the token.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Permissions {
    /// Name of the client in the log.
    pub(crate) name: String,
    /// Maximum of open streams; `None`: the server's default per client.
    pub(crate) streams: Option<usize>,
    /// The datasets that it may access; `None`: all.
    datasets: Option<BTreeSet<String>>,
    batch_bytes: Option<u64>,
    image_size: Option<u32>,
    epochs: Option<u32>,
    /// Default and maximum of a stream's scheduling weight; `None`: 1.
    pub(crate) weight: Option<u32>,
}

impl Permissions {
    /// Those that the server's own limits give, of the client `name`.
    pub(super) fn of(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Returns whether the client may access a dataset.
    pub(crate) fn allow(&self, dataset: &str) -> bool {
        self.datasets.as_ref().is_none_or(|names| names.contains(dataset))
    }

    /// The lower of the server's limits and this client's.
    pub(crate) fn within(&self, limits: &Limits) -> Limits {
        Limits {
            batch_bytes: self.batch_bytes.unwrap_or(u64::MAX).min(limits.batch_bytes),
            image_size: self.image_size.unwrap_or(u32::MAX).min(limits.image_size),
            epochs: self.epochs.unwrap_or(u32::MAX).min(limits.epochs),
            weight: self.weight.unwrap_or(1).min(limits.weight),
            ..limits.clone()
        }
    }

    /// Sets the permission `key` of a token's line.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || {
            let number = value.parse::<u32>().ok().filter(|&number| number > 0);
            number.ok_or_else(|| format!("{key} {value:?}: must be an integer of at least 1"))
        };
        match key {
            "datasets" => self.datasets = Some(value.split(',').map(str::to_owned).collect()),
            "max-streams" => self.streams = Some(number()? as usize),
            "max-batch-bytes" => {
                let bytes = byte_size::bytes(value)
                    .ok_or_else(|| format!("{key} {value:?}: {}", byte_size::SPELLING))?;
                self.batch_bytes = Some(bytes);
            }
            "max-image-size" => self.image_size = Some(number()?),
            "max-epochs" => self.epochs = Some(number()?),
            "weight" => self.weight = Some(number()?),
            _ => {
                return Err(format!(
                    "unknown key {key:?}: expected one of datasets, max-streams, max-batch-bytes, max-image-size, max-epochs, weight"
                ));
            }
        }
        Ok(())
    }
}

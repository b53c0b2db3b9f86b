//! The batches of a stream.

use bytes::Bytes;

use super::position::Position;

/// A batch of one shard.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its epoch and step.
    pub position: Position,
    /// Epoch and step of the batch after it.
    pub next: Position,
    /// Class of each image.
    pub labels: Vec<u32>,
    /// Sample id of each image.
    pub samples: Vec<u32>,
    /// What was mixed into each image; `None` if the recipe mixes nothing.
    pub mixed: Option<Vec<Mixed>>,
    /// Images that replace a broken one.
    pub replacements: Vec<Replacement>,
    /// The images, one after the other, each in the form of [`TensorSpec`](crate::tensor::TensorSpec). The first byte is aligned to
    /// [`ALIGNMENT`](crate::memory::ALIGNMENT).
    pub tensor: Bytes,
    /// CRC-32C of the tensor's bytes; `None` for batches in shared memory, which are not sent.
    pub checksum: Option<u32>,
    /// Offset in bytes of the tensor from the start of the stream's shared memory, if it has any.
    pub offset: usize,
}

/// The second class of a mixed image's label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixed {
    /// Class of the image that was mixed in.
    pub label: u32,
    /// Its weight in the label, in `0..=1`.
    pub weight: f32,
}

/// An image that replaces a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Index into the batch.
    pub slot: usize,
    /// Id of the planned sample.
    pub broken: u32,
}

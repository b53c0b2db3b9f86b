//! What a stream gives.

use bytes::Bytes;

use super::position::Position;

/// A batch of one shard.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its place.
    pub position: Position,
    /// The place of the batch after it.
    pub next: Position,
    /// Class of each image.
    pub labels: Vec<u32>,
    /// Sample that each image is of.
    pub samples: Vec<u32>,
    /// What was mixed into each image; `None` where the recipe mixes nothing.
    pub mixed: Option<Vec<Mixed>>,
    /// Images that stand for a broken one.
    pub replacements: Vec<Replacement>,
    /// The images, one behind the other, each as the request's tensor form says. The first byte is aligned to
    /// [`ALIGNMENT`](crate::memory::ALIGNMENT).
    pub tensor: Bytes,
    /// CRC-32C of the tensor's bytes; `None` if they lie in memory that the reader shares, and are not sent.
    pub checksum: Option<u32>,
    /// Where that byte lies, counted from the first one of the memory that the stream shares with its reader, where it shares some.
    pub offset: usize,
}

/// The second half of an image's label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixed {
    /// Class of what was mixed in.
    pub label: u32,
    /// How much of the image that is, in `0..=1`.
    pub weight: f32,
}

/// An image that stands for a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Index into the batch.
    pub slot: usize,
    /// The sample that was planned.
    pub broken: u32,
}

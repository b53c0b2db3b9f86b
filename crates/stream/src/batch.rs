//! What a stream gives: a description, then batches.

use bytes::Bytes;
use equibatch_proto::v1;

use super::{Error, Position, position::hexadecimal, server::Files};

/// What the server says before the first batch.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDescription {
    /// Name of the dataset.
    pub dataset: String,
    /// Its fingerprint, in hexadecimal.
    pub fingerprint: String,
    /// Hash of the request as the server understands it, in hexadecimal.
    pub spec_hash: String,
    /// In label order.
    pub classes: Vec<String>,
    /// Batches per epoch.
    pub steps_per_epoch: u64,
    /// Images per epoch.
    pub images_per_epoch: u64,
    /// How often each class is drawn per epoch, in label order.
    pub draws_per_class: Vec<u64>,
    /// Epochs of the stream.
    pub epochs: u32,
    /// Per channel: red, green, blue.
    pub mean: [f32; 3],
    /// Per channel: red, green, blue.
    pub std: [f32; 3],
    /// Short side of the images that augmentation starts from, in pixels; 0: as decoded.
    pub canonical_short_side: u32,
    /// Augmentation, in the server's text form with every number by name.
    pub recipe: String,
}

/// Images and their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// From 0.
    pub epoch: u64,
    /// Within the epoch, from 0.
    pub step: u64,
    /// Where the stream continues after this batch.
    pub next: Position,
    /// One per image.
    pub labels: Vec<u32>,
    /// One per image: index into the dataset's samples.
    pub samples: Vec<u32>,
    /// One per image, what was mixed into it; `None` where the recipe mixes none.
    pub mixed: Option<Vec<Mixed>>,
    /// Images that stand in the place of a broken file.
    pub replaced: usize,
    /// `[N, 3, S, S]` of little-endian elements as asked for. Its memory is used again when the last reference to it is dropped.
    pub tensor: Bytes,
}

/// The second half of an image's soft label: it is of class `label` by `weight`, and of its batch's label by the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixed {
    /// Class of what was mixed in.
    pub label: u32,
    /// In `0..=1`.
    pub weight: f32,
}

impl Batch {
    /// The place of this batch.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            step: self.step,
            ..self.next.clone()
        }
    }
}

impl StreamDescription {
    pub(super) fn from_wire(description: v1::StreamDescription) -> Option<Self> {
        let normalization = description.normalization?;
        Some(Self {
            dataset: description.dataset,
            fingerprint: hexadecimal(&description.fingerprint),
            spec_hash: hexadecimal(&description.spec_hash),
            classes: description.classes,
            steps_per_epoch: description.steps_per_epoch,
            images_per_epoch: description.images_per_epoch,
            draws_per_class: description.draws_per_class,
            epochs: description.epochs,
            mean: normalization.mean.try_into().ok()?,
            std: normalization.std.try_into().ok()?,
            canonical_short_side: description.canonical_short_side,
            recipe: description.recipe_text,
        })
    }

    /// What a server must serve to be a part of this stream.
    pub(super) fn files(&self) -> Files {
        Files {
            dataset: self.dataset.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// Refuses the stream of `address`, which `other` describes, where its batches would be others.
    pub(super) fn check_same(&self, other: &Self, address: &str) -> Result<(), Error> {
        let reason = if self.fingerprint != other.fingerprint {
            format!(
                "its files are others: fingerprint {}, not {}",
                short(&other.fingerprint),
                short(&self.fingerprint)
            )
        } else if (&self.spec_hash, self.steps_per_epoch) != (&other.spec_hash, other.steps_per_epoch) {
            "it makes other batches of the same request: is it of the same version?".to_owned()
        } else {
            return Ok(());
        };
        let address = address.to_owned();
        Err(Error::Differs { address, reason })
    }
}

/// As much of a hash as a person compares.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

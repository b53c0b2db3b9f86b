//! The messages of a stream: a description, then batches.

use bytes::Bytes;
use equibatch_proto::v1;

use super::{Error, Position, files::Files, hex::hexadecimal};

/// What the server sends before the first batch.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDescription {
    /// Name of the dataset.
    pub dataset: String,
    /// Its fingerprint, in hexadecimal.
    pub fingerprint: String,
    /// Hash of the request as resolved by the server, in hexadecimal.
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
    /// Short side of the images before augmentation, in pixels; 0: as decoded.
    pub canonical_short_side: u32,
    /// The resolved augmentation recipe as text, with every parameter named.
    pub recipe: String,
}

/// Images and their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// From 0.
    pub epoch: u64,
    /// Within the epoch, from 0.
    pub step: u64,
    /// Position after this batch: where the stream resumes.
    pub next: Position,
    /// One per image.
    pub labels: Vec<u32>,
    /// One per image: index into the dataset's samples.
    pub samples: Vec<u32>,
    /// One per image, the image mixed into it; `None` if the recipe does not mix images.
    pub mixed: Option<Vec<Mixed>>,
    /// Images that replace a broken file: index into the batch, and id of the planned sample.
    pub replacements: Vec<(u32, u32)>,
    /// `[N, 3, S, S]` little-endian elements of the requested type. The buffer is reused once all references are dropped.
    pub tensor: Bytes,
}

/// The mixed part of an image's soft label: weight `weight` for class `label`; the batch's label has the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixed {
    /// Class of the image mixed in.
    pub label: u32,
    /// In `0..=1`.
    pub weight: f32,
}

impl Batch {
    /// The position of this batch.
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

    /// What a server must serve to take part in this stream.
    pub(super) fn files(&self) -> Files {
        Files {
            dataset: self.dataset.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// Returns an error if the stream that `other` describes, of the server at `address`, would have other batches.
    pub(super) fn check_same(&self, other: &Self, address: &str) -> Result<(), Error> {
        self.files().check(&other.fingerprint, address)?;
        if (&self.spec_hash, self.steps_per_epoch) == (&other.spec_hash, other.steps_per_epoch) {
            return Ok(());
        }
        Err(Error::Differs {
            address: address.to_owned(),
            reason: "it renders other batches for the same request: does it have the same version?"
                .to_owned(),
        })
    }
}

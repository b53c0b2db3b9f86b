//! The messages of a stream: a description, then batches.

use bytes::Bytes;
use equibatch_proto::v1;
use serde::{Deserialize, Serialize};

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
    /// How often each class is drawn per epoch, in label order; if this changes, in the epochs before the change.
    pub draws_per_class: Vec<u64>,
    /// How the draws change, if the balance is a schedule.
    pub draws_change: Option<DrawsChange>,
    /// The natural images that those of `draws_per_class` are mixed into, if the recipe mixes `from=natural`.
    pub background: Option<Background>,
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

/// A change of the draws per class, linear over the epochs from `first_epoch` to `last_epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawsChange {
    /// In label order: from epoch `last_epoch` on.
    pub draws_per_class: Vec<u64>,
    /// Last epoch with the draws of before the change.
    pub first_epoch: u32,
    /// After `first_epoch`.
    pub last_epoch: u32,
}

/// Natural images that others are mixed into: those of [`Batch::labels`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// How often each class is drawn per epoch, in label order.
    pub draws_per_class: Vec<u64>,
    /// Mean weight of the images that are mixed in, in `0..=1`.
    pub mean_mixed_weight: f64,
}

impl Background {
    fn from_wire(background: v1::Background) -> Self {
        Self {
            draws_per_class: background.draws_per_class,
            mean_mixed_weight: background.mean_mixed_weight,
        }
    }

    /// The mean sum of the label weights of each class in an epoch, where images drawn `mixed_in` times per class are mixed into these.
    #[must_use]
    pub fn label_weights(&self, mixed_in: &[u64]) -> Vec<f64> {
        let weight = self.mean_mixed_weight;
        let draws = self.draws_per_class.iter().zip(mixed_in);
        draws
            .map(|(&natural, &mixed_in)| (1.0 - weight) * natural as f64 + weight * mixed_in as f64)
            .collect()
    }

    /// [`Self::label_weights`], or the draws if there is no background.
    #[must_use]
    pub fn label_weights_of(background: Option<&Self>, draws: &[u64]) -> Vec<f64> {
        match background {
            None => draws.iter().map(|&draws| draws as f64).collect(),
            Some(background) => background.label_weights(draws),
        }
    }
}

impl DrawsChange {
    fn from_wire(change: v1::DrawsChange) -> Self {
        Self {
            draws_per_class: change.draws_per_class,
            first_epoch: change.first_epoch,
            last_epoch: change.last_epoch,
        }
    }

    /// The draws per class in an epoch, by the formula of the contract's `DrawsChange`. `before` are those before the change.
    #[must_use]
    pub fn draws_in_epoch(&self, before: &[u64], epoch: u64) -> Vec<u64> {
        let (first, last) = (u64::from(self.first_epoch), u64::from(self.last_epoch));
        let length = i128::from(last.saturating_sub(first).max(1));
        let passed = i128::from(epoch.saturating_sub(first)).min(length);
        let mut rise = 0;
        let draws = before.iter().zip(&self.draws_per_class).map(|(&from, &to)| {
            let earlier = (rise * passed).div_euclid(length);
            rise += i128::from(to) - i128::from(from);
            (i128::from(from) + (rise * passed).div_euclid(length) - earlier) as u64
        });
        draws.collect()
    }
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
            draws_change: description.draws_change.map(DrawsChange::from_wire),
            background: description.background.map(Background::from_wire),
            epochs: description.epochs,
            mean: normalization.mean.try_into().ok()?,
            std: normalization.std.try_into().ok()?,
            canonical_short_side: description.canonical_short_side,
            recipe: description.recipe_text,
        })
    }

    /// How often each class is drawn in an epoch, in label order.
    #[must_use]
    pub fn draws_in_epoch(&self, epoch: u64) -> Vec<u64> {
        match &self.draws_change {
            None => self.draws_per_class.clone(),
            Some(change) => change.draws_in_epoch(&self.draws_per_class, epoch),
        }
    }

    /// The sum of the label weights of each class in an epoch, in label order: its draws, or, if they are mixed into natural images, the mean over
    /// the weights that batches can have.
    #[must_use]
    pub fn label_weights_in_epoch(&self, epoch: u64) -> Vec<f64> {
        Background::label_weights_of(self.background.as_ref(), &self.draws_in_epoch(epoch))
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

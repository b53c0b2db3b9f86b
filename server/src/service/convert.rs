//! Between the wire's messages and the domain's types.

use equibatch_proto::v1;

use crate::{
    augment::Recipe,
    dataset::{Dataset, Fingerprint, Split},
    pipeline::{Batch, Canonical, Description, Position, Shard, SpecHash, Start, StreamSpec},
    sampling::{Balance, LastBatch, Order},
    tensor::{ElementType, Layout, Normalization, TensorSpec},
};

/// Images in a global batch, where the request does not say.
const BATCH_SIZE: u32 = 64;
/// Height and width of the images sent, where the request does not say.
const IMAGE_SIZE: u32 = 224;

/// What a message says that has no meaning.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Error {
    /// A split that there is not.
    #[error("split is {0:?}: it must be train, valid or test")]
    Split(String),
    /// A number that the enumeration does not have.
    #[error("{field} is {value}, which is not one of its values")]
    Enumeration {
        /// Name in the contract.
        field: &'static str,
        /// On the wire.
        value: i32,
    },
    /// A field with the wrong number of elements.
    #[error("{field} has {found} {unit}: it must have {expected}")]
    Length {
        /// Name in the contract.
        field: &'static str,
        /// On the wire.
        found: usize,
        /// What it must be.
        expected: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// `balance` without a policy.
    #[error(
        "balance has no policy: leave it out, or set one of oversample, undersample, natural, power, weights, effective"
    )]
    NoPolicy,
    /// A weight for a class that there is not.
    #[error("balance.weights names class {class:?}, which dataset {dataset:?} does not have")]
    UnknownClass {
        /// The name.
        class: String,
        /// The dataset.
        dataset: String,
    },
}

/// The domain form of a request for batches of `dataset`, with all defaults filled in.
///
/// # Errors
///
/// Where a field has no meaning. Ranges are checked later, by [`StreamSpec::validate`].
pub(super) fn stream_spec(request: v1::StreamBatchesRequest, dataset: &Dataset) -> Result<StreamSpec, Error> {
    let split = split(&request.split)?;
    let is_train = split == Split::Train;
    Ok(StreamSpec {
        dataset: dataset.name.clone(),
        split,
        seed: request.seed,
        epochs: request.epochs.unwrap_or(1),
        start: request
            .start
            .as_ref()
            .map_or_else(|| Ok(Start::default()), start)?,
        shard: request.shard.map_or(Shard::WHOLE, |shard| Shard {
            world: shard.world,
            rank: shard.rank,
        }),
        batch_size: request.batch_size.unwrap_or(BATCH_SIZE),
        balance: match request.balance {
            Some(given) => balance(given, dataset)?,
            None if is_train => Balance::Oversample,
            None => Balance::Natural,
        },
        images_per_epoch: request.images_per_epoch,
        order: order(request.order)?.unwrap_or(if is_train {
            Order::Shuffled
        } else {
            Order::Sequential
        }),
        last_batch: last_batch(request.last_batch)?.unwrap_or(if is_train {
            LastBatch::Drop
        } else {
            LastBatch::Keep
        }),
        recipe: match request.recipe {
            Some(given) => recipe(given),
            None if is_train => Recipe::reference(),
            None => Recipe::none(),
        },
        canonical: canonical(request.canonical)?,
        tensor: TensorSpec {
            size: request.image_size.unwrap_or(IMAGE_SIZE),
            element_type: element_type(request.element_type)?,
            layout: layout(request.layout)?,
            normalization: request
                .normalization
                .map_or(Ok(Normalization::IMAGENET), normalization)?,
        },
        expected_fingerprint: optional_bytes("expected_fingerprint", &request.expected_fingerprint)?
            .map(Fingerprint),
    })
}

fn split(name: &str) -> Result<Split, Error> {
    if name.is_empty() {
        return Ok(Split::Train);
    }
    Split::from_name(name).ok_or_else(|| Error::Split(name.to_owned()))
}

/// A token without a spec hash is made by hand: only its place counts.
fn start(token: &v1::PositionToken) -> Result<Start, Error> {
    let spec_hash = optional_bytes("start.spec_hash", &token.spec_hash)?.map(SpecHash);
    Ok(Start {
        position: Position {
            epoch: token.epoch,
            step: token.step,
        },
        seed: spec_hash.map(|_| token.seed),
        spec_hash,
        fingerprint: optional_bytes("start.fingerprint", &token.fingerprint)?.map(Fingerprint),
    })
}

fn optional_bytes<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<Option<[u8; N]>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let length = |_| Error::Length {
        field,
        found: bytes.len(),
        expected: N,
        unit: "bytes",
    };
    bytes.try_into().map(Some).map_err(length)
}

fn balance(balance: v1::Balance, dataset: &Dataset) -> Result<Balance, Error> {
    use v1::balance::Policy;
    Ok(match balance.policy.ok_or(Error::NoPolicy)? {
        Policy::Oversample(_) => Balance::Oversample,
        Policy::Undersample(_) => Balance::Undersample,
        Policy::Natural(_) => Balance::Natural,
        Policy::Power(power) => Balance::Power(power.exponent),
        Policy::Effective(effective) => Balance::Effective(effective.beta),
        Policy::Weights(named) => {
            if let Some(class) = named
                .weights
                .keys()
                .find(|class| !dataset.classes.contains(class))
            {
                return Err(Error::UnknownClass {
                    class: class.clone(),
                    dataset: dataset.name.clone(),
                });
            }
            let weight = |class| named.weights.get(class).copied().unwrap_or(0.0);
            Balance::Weights(dataset.classes.iter().map(weight).collect())
        }
    })
}

fn recipe(recipe: v1::Recipe) -> Recipe {
    Recipe {
        flip: recipe.flip,
        max_rotate: recipe.max_rotate,
        max_zoom: if recipe.max_zoom == 0.0 {
            1.0
        } else {
            recipe.max_zoom
        },
        max_warp: recipe.max_warp,
        max_lighting: recipe.max_lighting,
        p_affine: recipe.p_affine,
        p_lighting: recipe.p_lighting,
        random_crop: recipe.random_crop,
    }
}

fn normalization(normalization: v1::Normalization) -> Result<Normalization, Error> {
    let three = |field, values: Vec<f32>| {
        let found = values.len();
        <[f32; 3]>::try_from(values).map_err(|_| Error::Length {
            field,
            found,
            expected: 3,
            unit: "values",
        })
    };
    Ok(Normalization {
        mean: three("normalization.mean", normalization.mean)?,
        std: three("normalization.std", normalization.std)?,
    })
}

fn element_type(value: i32) -> Result<ElementType, Error> {
    match enumeration("element_type", value)? {
        v1::ElementType::Unspecified | v1::ElementType::F32 => Ok(ElementType::F32),
        v1::ElementType::F16 => Ok(ElementType::F16),
        v1::ElementType::U8 => Ok(ElementType::U8),
    }
}

fn layout(value: i32) -> Result<Layout, Error> {
    match enumeration("layout", value)? {
        v1::Layout::Unspecified | v1::Layout::Nchw => Ok(Layout::Nchw),
        v1::Layout::Nhwc => Ok(Layout::Nhwc),
    }
}

fn canonical(value: i32) -> Result<Canonical, Error> {
    match enumeration("canonical", value)? {
        v1::Canonical::Unspecified | v1::Canonical::ShortSide => Ok(Canonical::ShortSide),
        v1::Canonical::Native => Ok(Canonical::Native),
    }
}

fn order(value: i32) -> Result<Option<Order>, Error> {
    Ok(match enumeration("order", value)? {
        v1::Order::Unspecified => None,
        v1::Order::Shuffled => Some(Order::Shuffled),
        v1::Order::Sequential => Some(Order::Sequential),
    })
}

fn last_batch(value: i32) -> Result<Option<LastBatch>, Error> {
    Ok(match enumeration("last_batch", value)? {
        v1::LastBatch::Unspecified => None,
        v1::LastBatch::Drop => Some(LastBatch::Drop),
        v1::LastBatch::Keep => Some(LastBatch::Keep),
        v1::LastBatch::Wrap => Some(LastBatch::Wrap),
    })
}

fn enumeration<E: TryFrom<i32>>(field: &'static str, value: i32) -> Result<E, Error> {
    E::try_from(value).map_err(|_| Error::Enumeration { field, value })
}

/// The first message of a stream.
#[must_use]
pub(super) fn description(description: &Description) -> v1::StreamDescription {
    let spec = &description.spec;
    let dataset = description.served.dataset();
    let (images, side) = (spec.images_per_batch() as u32, spec.tensor.size);
    let recipe = &spec.recipe;
    v1::StreamDescription {
        dataset: dataset.name.clone(),
        split: spec.split.name().to_owned(),
        fingerprint: dataset.fingerprint.0.to_vec().into(),
        spec_hash: description.spec_hash.0.to_vec().into(),
        classes: dataset.classes.clone(),
        steps_per_epoch: description.steps_per_epoch,
        images_per_epoch: description.images_per_epoch,
        draws_per_class: description.draws_per_class.clone(),
        shape: match spec.tensor.layout {
            Layout::Nchw => vec![images, 3, side, side],
            Layout::Nhwc => vec![images, side, side, 3],
        },
        element_type: match spec.tensor.element_type {
            ElementType::F32 => v1::ElementType::F32.into(),
            ElementType::F16 => v1::ElementType::F16.into(),
            ElementType::U8 => v1::ElementType::U8.into(),
        },
        layout: match spec.tensor.layout {
            Layout::Nchw => v1::Layout::Nchw.into(),
            Layout::Nhwc => v1::Layout::Nhwc.into(),
        },
        normalization: Some(v1::Normalization {
            mean: spec.tensor.normalization.mean.to_vec(),
            std: spec.tensor.normalization.std.to_vec(),
        }),
        recipe: Some(if *recipe == Recipe::none() {
            v1::Recipe::default()
        } else {
            v1::Recipe {
                flip: recipe.flip,
                max_rotate: recipe.max_rotate,
                max_zoom: recipe.max_zoom,
                max_warp: recipe.max_warp,
                max_lighting: recipe.max_lighting,
                p_affine: recipe.p_affine,
                p_lighting: recipe.p_lighting,
                random_crop: recipe.random_crop,
            }
        }),
        epochs: spec.epochs,
        canonical_short_side: spec.canonical_short_side().unwrap_or(0),
    }
}

/// A batch of the stream that `description` describes.
#[must_use]
pub(super) fn batch(batch: Batch, description: &Description) -> v1::Batch {
    let replacement = |replacement: crate::pipeline::Replacement| v1::Replacement {
        slot: replacement.slot as u32,
        broken_sample_id: replacement.broken,
    };
    v1::Batch {
        epoch: batch.position.epoch,
        step: batch.position.step,
        next: Some(v1::PositionToken {
            spec_hash: description.spec_hash.0.to_vec().into(),
            fingerprint: description.served.dataset().fingerprint.0.to_vec().into(),
            seed: description.spec.seed,
            epoch: batch.next.epoch,
            step: batch.next.step,
            world: description.spec.shard.world,
        }),
        labels: batch.labels,
        sample_ids: batch.samples,
        replacements: batch.replacements.into_iter().map(replacement).collect(),
        tensor: batch.tensor,
    }
}

//! A request of the wire as the specification of a stream.

use equibatch_engine::{
    augment::{self, Augment, Numbers, Recipe},
    dataset::{Dataset, Fingerprint, Split},
    pipeline::{Canonical, Position, Shard, SpecHash, Start, StreamSpec, Stride},
    sampling::{Balance, LastBatch, Order},
    tensor::{ElementType, Layout, Normalization},
};
use equibatch_proto::v1;

/// An invalid field of a request.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An unknown split.
    #[error("split is {0:?}: expected train, valid or test")]
    Split(String),
    /// A value outside the enumeration.
    #[error("{field} is {value}, which is not a value of this enumeration")]
    Enumeration {
        /// Field name in the proto.
        field: &'static str,
        /// The value.
        value: i32,
    },
    /// A field with the wrong number of elements.
    #[error("{field} has {found} {unit}: expected {expected}")]
    Length {
        /// Field name in the proto.
        field: &'static str,
        /// The number given.
        found: usize,
        /// The number expected.
        expected: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// A duration out of range.
    #[error("{field} is {value}: expected 0 to 1e9 seconds")]
    Seconds {
        /// Field name in the proto.
        field: &'static str,
        /// The value.
        value: f64,
    },
    /// `balance` without a policy.
    #[error(
        "balance has no policy: leave it out, or set one of oversample, undersample, natural, power, weights, effective"
    )]
    NoPolicy,
    /// An invalid recipe.
    #[error(transparent)]
    Recipe(#[from] augment::Error),
    /// A recipe as text and as numbers.
    #[error(
        "recipe.text and number fields are both set: set recipe.text only, the number fields are deprecated"
    )]
    RecipeTwice,
    /// A weight for a class that the dataset does not have.
    #[error("balance.weights: dataset {dataset:?} has no class {class:?}")]
    UnknownClass {
        /// The class.
        class: String,
        /// The dataset.
        dataset: String,
    },
}

/// Converts a request for batches of `dataset`, and fills in all defaults.
///
/// # Errors
///
/// If a field is invalid. Ranges are checked later, by [`StreamSpec::validate`].
pub fn stream_spec(request: v1::StreamBatchesRequest, dataset: &Dataset) -> Result<StreamSpec, Error> {
    let split = split(&request.split)?;
    let mut spec = StreamSpec::of(dataset.name.clone(), split);
    spec.seed = request.seed;
    spec.images_per_epoch = request.images_per_epoch;
    spec.reports = request.reports;
    spec.expected_fingerprint =
        optional_bytes("expected_fingerprint", &request.expected_fingerprint)?.map(Fingerprint);
    set(&mut spec.epochs, request.epochs);
    set(&mut spec.batch_size, request.batch_size);
    set(&mut spec.weight, request.weight);
    set(&mut spec.start, request.start.as_ref().map(start).transpose()?);
    set(
        &mut spec.shard,
        request
            .shard
            .map(|v1::Shard { world, rank }| Shard { world, rank }),
    );
    set(
        &mut spec.stride,
        request
            .stride
            .map(|v1::Stride { of, index }| Stride { of, index }),
    );
    set(
        &mut spec.balance,
        request.balance.map(|given| balance(given, dataset)).transpose()?,
    );
    set(&mut spec.order, order(request.order)?);
    set(&mut spec.last_batch, last_batch(request.last_batch)?);
    set(&mut spec.recipe, request.recipe.as_ref().map(recipe).transpose()?);
    set(&mut spec.canonical, canonical(request.canonical)?);
    set(&mut spec.tensor.size, request.image_size);
    set(&mut spec.tensor.element_type, element_type(request.element_type)?);
    set(&mut spec.tensor.layout, layout(request.layout)?);
    set(
        &mut spec.tensor.normalization,
        request.normalization.map(normalization).transpose()?,
    );
    Ok(spec)
}

/// Replaces a default by what a request says, if it says something.
fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}

fn split(name: &str) -> Result<Split, Error> {
    if name.is_empty() {
        return Ok(Split::Train);
    }
    Split::from_name(name).ok_or_else(|| Error::Split(name.to_owned()))
}

/// A token without a spec hash was written by hand: only its epoch and step are used.
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

/// A field of `N` bytes; `None` if it is empty.
///
/// # Errors
///
/// [`Error::Length`].
pub fn optional_bytes<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<Option<[u8; N]>, Error> {
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
                // Classes are sorted.
                .find(|class| dataset.classes.binary_search(class).is_err())
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

/// A recipe from its text, or from the deprecated number fields.
fn recipe(recipe: &v1::Recipe) -> Result<Recipe, Error> {
    let augment = match enumeration("recipe.augment", recipe.augment)? {
        v1::Augment::Unspecified => None,
        v1::Augment::All => Some(Augment::All),
        v1::Augment::Repeats => Some(Augment::Repeats),
    };
    let numbers = numbers(recipe);
    let mut meant: Recipe = if recipe.text.is_empty() {
        numbers.try_into()?
    } else if numbers == Numbers::default() {
        recipe.text.parse()?
    } else {
        return Err(Error::RecipeTwice);
    };
    if let Some(augment) = augment {
        meant.augment = augment;
    }
    Ok(meant.normalized())
}

/// The number fields, which are read for one release more.
#[allow(deprecated, reason = "requests of earlier clients")]
fn numbers(recipe: &v1::Recipe) -> Numbers {
    Numbers {
        flip: recipe.flip,
        max_rotate: recipe.max_rotate,
        max_zoom: recipe.max_zoom,
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

fn element_type(value: i32) -> Result<Option<ElementType>, Error> {
    Ok(match enumeration("element_type", value)? {
        v1::ElementType::Unspecified => None,
        v1::ElementType::F32 => Some(ElementType::F32),
        v1::ElementType::F16 => Some(ElementType::F16),
        v1::ElementType::U8 => Some(ElementType::U8),
    })
}

fn layout(value: i32) -> Result<Option<Layout>, Error> {
    Ok(match enumeration("layout", value)? {
        v1::Layout::Unspecified => None,
        v1::Layout::Nchw => Some(Layout::Nchw),
        v1::Layout::Nhwc => Some(Layout::Nhwc),
    })
}

fn canonical(value: i32) -> Result<Option<Canonical>, Error> {
    Ok(match enumeration("canonical", value)? {
        v1::Canonical::Unspecified => None,
        v1::Canonical::ShortSide => Some(Canonical::ShortSide),
        v1::Canonical::Native => Some(Canonical::Native),
    })
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

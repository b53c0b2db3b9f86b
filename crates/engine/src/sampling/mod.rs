//! Which sample stands where: the plan of an epoch, as a function.
//!
//! A [`Plan`] answers "which images make up step `s` of epoch `e`?" directly, without walking there and without storing an order. That
//! is what lets a stream resume, move to another server or be cut into shards without any state on the server.
//!
//! # What is exact
//!
//! * **Per epoch**, class `c` is drawn as often as the [`Balance`] says, to the image ([`largest_remainder`] where a proportion does not
//!   come out even).
//! * **Per global batch**, the count of each class is the floor or the ceiling of its share: never off by as much as one image.
//! * **Within a class**, every image is used once before any is used again, in every epoch; the images that an epoch uses once more than
//!   the others move on from epoch to epoch, so that at the end of any epoch the uses of two images of a class differ by at most one.
//!
//! # How
//!
//! The full batches of an epoch draw class `c` `F_c` times in `S` steps of `B` images. Each step takes `floor(F_c / S)` images of it;
//! the remaining `F_c mod S` are *extra seats*, of which each step has the same number `R`. Lay the classes end to end on a line, each as
//! long as its extra seats: the line is `S * R` long. Step `s` takes the classes found at the points `t, t + S, ..., t + (R - 1) S`, where
//! `t` runs through `0..S` in an order that spreads neighbours apart ([`GoldenRotation`]). No class is longer than `S`, so it is met at most
//! once a step, and every point of the line is met exactly once an epoch: both counts are exact by construction. How often a class was
//! met before step `s`, and so which of its images are next, is a sum of floors with a closed form in logarithmic time.

mod apportion;
mod balance;
mod epoch;
mod permutation;
mod plan;
mod rotation;

pub use self::{
    apportion::largest_remainder,
    balance::Balance,
    permutation::Permutation,
    plan::{LastBatch, Order, Plan, PlanSpec, Slot},
    rotation::GoldenRotation,
};

/// Why there is no plan for a request. All of these are the request's to mend.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The split has no image at all.
    #[error("cannot plan an epoch of a split without images")]
    NoImages,
    /// The balance gives every class that has images a weight of zero.
    #[error("cannot plan an epoch in which no class is drawn: every class with images has weight 0")]
    NothingDrawn,
    /// `power`, `beta` or a weight is outside its range.
    #[error("cannot balance by {parameter} {value}: it must be {range}")]
    OutOfRange {
        /// Which number.
        parameter: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Another number of weights than classes.
    #[error("cannot balance {classes} classes by {weights} weights")]
    WeightCount {
        /// Classes of the dataset.
        classes: usize,
        /// Weights in the request.
        weights: usize,
    },
    /// No batch would be full, and short ones are dropped.
    #[error(
        "cannot fill a batch of {batch_size} from an epoch of {images} images: use a batch size of at most {images}, or keep short batches"
    )]
    EpochSmallerThanBatch {
        /// Images in the epoch.
        images: u64,
        /// Images in a batch.
        batch_size: u64,
    },
    /// Sequential order shows each image once; that is the natural balance, over all images, not wrapped.
    #[error(
        "{must}: each image is shown once, in order (sequential, as the splits valid and test are unless asked for otherwise)"
    )]
    SequentialOrder {
        /// The other setting, and what it must be.
        must: &'static str,
    },
    /// More images an epoch than this.
    #[error(
        "cannot plan an epoch of {images} images: at most {} are supported",
        plan::MAX_IMAGES
    )]
    EpochTooLarge {
        /// Images in the epoch.
        images: f64,
    },
}

//! The plan of an epoch as a function: which sample is in which slot.
//!
//! A [`Plan`] answers "which images make up step `s` of epoch `e`?" directly, without computing earlier steps and without storing an order. So a
//! stream can be resumed, moved to another server or sharded without any state on the server.
//!
//! # What is exact
//!
//! * **Per epoch**, class `c` is drawn exactly as often as the [`Balance`] requires (rounded by [`largest_remainder`] if a proportion is not an
//!   integer).
//! * **Per global batch**, the count of each class is the floor or the ceiling of its share: never off by as much as one image.
//! * **Within a class**, in every epoch, each image is used once before any is used again; the images that an epoch uses once more than the
//!   others rotate from epoch to epoch, so that at the end of any epoch the uses of two images of a class differ by at most one.
//! * **A [`Schedule`]** changes the draws of each class by epoch. Each epoch's are the interpolation between its two policies, rounded up or down, and
//!   all that is exact above is so for each epoch's own draws.
//!
//! # How
//!
//! The full batches of an epoch draw class `c` `F_c` times in `S` steps of `B` images. Each step takes `floor(F_c / S)` images of it;
//! the other `F_c mod S` are *remainder slots*, of which each step has the same number `R`. Lay the classes end to end on a line, each as
//! long as its number of remainder slots: the line has length `S * R`. Step `s` takes the classes at the points `t, t + S, ..., t + (R - 1) S`, where
//! `t` runs through `0..S` in a low-discrepancy order ([`GoldenRotation`]). No class is longer than `S`, so it occurs at most once in a step,
//! and every point of the line occurs exactly once in an epoch: both counts are exact by construction. How often a class occurs before step
//! `s`, and so which of its images are next, is a sum of floors, computed in logarithmic time.
mod apportion;
mod balance;
mod epoch;
mod error;
mod permutation;
mod plan;
mod quotas;
mod rotation;
mod schedule;
mod text;

pub use self::{
    apportion::largest_remainder,
    balance::Balance,
    error::Error,
    permutation::Permutation,
    plan::{LastBatch, Order, Plan, PlanSpec, Slot},
    quotas::{QuotaChange, Quotas},
    rotation::GoldenRotation,
    schedule::Schedule,
};

//! Augmentation: what a recipe draws for one sample, and where each output pixel then comes from.
//!
//! Nothing here touches a pixel. A [`Recipe`] holds distributions, a [`Draw`] one value of each; a draw answers with one projective map
//! for all its geometry ([`Draw::map`]) and one curve for all its lighting ([`Draw::tone`]).
//!
//! # Source
//!
//! The order, the distributions and the formulas are those of fastai v1 `get_transforms` and `Image.apply_tfms` with a square size,
//! the crop method and `align_corners=True`.

mod chain;
mod crop;
mod draw;
mod error;
mod lighting;
mod numbers;
mod recipe;
mod rotate;
mod symmetric_warp;
pub mod text;
mod zoom;

pub use crop::{Crop, CropRange};
pub use draw::Draw;
pub use error::Error;
pub use numbers::Numbers;
pub use recipe::{Augment, Recipe, Strength, ZoomRange};
pub use rotate::Rotate;
pub use symmetric_warp::SymmetricWarp;
pub use zoom::Zoom;

#[cfg(test)]
mod tests;

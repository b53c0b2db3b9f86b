//! Augmentation: recipes, and the parameters drawn from them for one sample.
//!
//! This module does not process pixels. A [`Recipe`] holds distributions, a [`Draw`] one value of each. A draw gives one projective map for
//! all geometry ([`Draw::map`]), one curve for brightness and contrast ([`Draw::lighting`]), and operations for a second pass over the
//! rendered pixels ([`Draw::pixel_ops`]; none in the default recipe). [`BatchMix`] is drawn per batch and gives the mixing of each pair of
//! images.
//!
//! # Source
//!
//! Order, distributions and formulas of the default parts: fastai v1 `get_transforms` and `Image.apply_tfms` with a square size, the crop
//! method and `align_corners=True`. The other parts follow torchvision; see each part.

mod affine_op;
mod chain;
mod crop;
mod describe;
mod draw;
mod drawing;
mod erasing;
mod error;
mod jitter;
mod lighting;
mod mixing;
mod numbers;
mod pad;
mod policy;
mod recipe;
mod resized_crop;
mod rotate;
mod symmetric_warp;
pub mod text;
mod view;
mod zoom;

pub use affine_op::{AffineOp, Length};
pub use crop::{Crop, CropRange};
pub use draw::Draw;
pub use erasing::Erasing;
pub use error::Error;
pub use jitter::Jitter;
pub use mixing::{BatchMix, Mixing};
pub use numbers::Numbers;
pub use pad::Pad;
pub use policy::RandAugment;
pub use recipe::{Augment, Blur, Magnitude, Recipe};
pub use resized_crop::{ResizedCrop, ResizedCropRange};
pub use rotate::Rotate;
pub use symmetric_warp::SymmetricWarp;
pub use view::VIEWS;
pub use zoom::{Zoom, ZoomRange};

#[cfg(test)]
mod tests;

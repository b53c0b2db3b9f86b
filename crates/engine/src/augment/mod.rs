//! Augmentation: what a recipe draws for one sample, and where each output pixel then comes from.
//!
//! Nothing here touches a pixel. A [`Recipe`] holds distributions, a [`Draw`] one value of each; a draw answers with one projective map
//! for all its geometry ([`Draw::map`]), one curve for all its lighting ([`Draw::lighting`]), and what is left for a second pass over the
//! pixels ([`Draw::pixel_ops`]), which the default recipe has none of. What is drawn for a batch and its pairs of images is a [`BatchMix`].
//!
//! # Source
//!
//! The order, the distributions and the formulas are those of fastai v1 `get_transforms` and `Image.apply_tfms` with a square size,
//! the crop method and `align_corners=True`. What came later is torchvision's: see each part.

mod affine_op;
mod chain;
mod crop;
mod describe;
mod draw;
mod erasing;
mod error;
mod jitter;
mod lighting;
mod mixing;
mod numbers;
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
pub use policy::RandAugment;
pub use recipe::{Augment, Blur, Magnitude, Recipe, ZoomRange};
pub use resized_crop::{ResizedCrop, ResizedCropRange};
pub use rotate::Rotate;
pub use symmetric_warp::SymmetricWarp;
pub use view::VIEWS;
pub use zoom::Zoom;

#[cfg(test)]
mod tests;

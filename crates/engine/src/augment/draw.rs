//! The augmentation drawn for one sample.

use super::{AffineOp, Crop, ResizedCrop, Rotate, SymmetricWarp, Zoom, chain};
use crate::geometry::{Projective, canvas};
use crate::lighting::Lighting;
use crate::pixel_ops::PixelOp;

/// The augmentation drawn for one sample: a value for each part of a recipe, `None` for parts that were not drawn.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Draw {
    /// Grey value with which the source is padded to a square before all else.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub pad: Option<u8>,
    /// Perspective warp.
    pub warp: Option<SymmetricWarp>,
    /// Rotation.
    pub rotate: Option<Rotate>,
    /// Zoom.
    pub zoom: Option<Zoom>,
    /// Brightness, in `(0, 1)`; 0.5 is the identity.
    pub brightness: Option<f32>,
    /// Contrast, positive; 1 is the identity.
    pub contrast: Option<f32>,
    /// Whether the image is mirrored left to right.
    pub flip: bool,
    /// Position of the crop.
    pub crop: Crop,
    /// A region of the source that is resized to the square, instead of a crop.
    pub resized_crop: Option<ResizedCrop>,
    /// Affine operations on the cropped square, in this order. Serialised as `moves`.
    #[cfg_attr(feature = "serde", serde(rename = "moves"))]
    pub affine_ops: Vec<AffineOp>,
    /// Operations on the rendered pixels, in this order. Serialised as `touches`.
    #[cfg_attr(feature = "serde", serde(rename = "touches"))]
    pub pixel_ops: Vec<PixelOp>,
}

impl Draw {
    /// The centre crop alone, as for validation images.
    #[must_use]
    pub fn identity() -> Self {
        Self {
            pad: None,
            warp: None,
            rotate: None,
            zoom: None,
            brightness: None,
            contrast: None,
            flip: false,
            crop: Crop::CENTER,
            resized_crop: None,
            affine_ops: vec![],
            pixel_ops: vec![],
        }
    }

    /// An image without augmentation: padded with a grey value, or cropped to its centre.
    #[must_use]
    pub fn unaugmented(pad: Option<u8>) -> Self {
        Self {
            pad,
            ..Self::identity()
        }
    }

    /// The map from the pixels of the result, `target` by `target`, to those of a source of `(width, height)` pixels, which is padded if
    /// [`Draw::pad`] is given.
    ///
    /// It composes, from output to source: affine operations on the square, the position of the crop on the canvas, the flip of the canvas,
    /// normalisation to `[-1, 1]`, perspective, rotation after zoom with the correction for the aspect ratio, and `[-1, 1]` to source
    /// pixels. The corners of the `[-1, 1]` square are the centres of the corner pixels, on the canvas and in the source.
    #[must_use]
    pub fn map(&self, source: (u32, u32), target: u32) -> Projective {
        let canvas = canvas(source, target);
        let mut map = match self.resized_crop {
            None => chain::place_crop(self.crop.start(canvas, target)),
            Some(crop) => chain::to_canvas(source, canvas).compose(&crop.map(source, target)),
        };
        for step in &self.affine_ops {
            map = map.compose(&step.matrix(target));
        }
        if self.flip {
            map = chain::flip(canvas).compose(&map);
        }
        map = chain::normalize(canvas).compose(&map);
        if let Some(warp) = self.warp {
            map = warp.matrix().compose(&map);
        }
        if self.rotate.is_some() || self.zoom.is_some() {
            let rotate = self.rotate.map_or(Projective::IDENTITY, |rotate| rotate.matrix());
            let zoom = self.zoom.map_or(Projective::IDENTITY, |zoom| zoom.matrix());
            map = chain::correct_aspect(&rotate.compose(&zoom), canvas).compose(&map);
        }
        chain::denormalize(source).compose(&map)
    }

    /// The brightness and contrast curve.
    #[must_use]
    pub fn lighting(&self) -> Lighting {
        Lighting {
            brightness: self.brightness,
            contrast: self.contrast,
        }
    }
}

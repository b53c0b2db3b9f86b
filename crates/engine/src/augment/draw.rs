//! One sample's augmentation.

use super::{AffineOp, Crop, ResizedCrop, Rotate, SymmetricWarp, Zoom, chain};
use crate::geometry::{Projective, canvas};
use crate::lighting::Lighting;
use crate::pixel_ops::PixelOp;

/// The augmentation of one sample: a value for each part of a recipe, `None` for the parts that do not run.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Draw {
    /// Perspective.
    pub warp: Option<SymmetricWarp>,
    /// Rotation.
    pub rotate: Option<Rotate>,
    /// Zoom.
    pub zoom: Option<Zoom>,
    /// In `(0, 1)`; 0.5 changes nothing.
    pub brightness: Option<f32>,
    /// Positive; 1 changes nothing.
    pub contrast: Option<f32>,
    /// Mirrored left and right.
    pub flip: bool,
    /// Where the square is cut out.
    pub crop: Crop,
    /// The part of the source that is resized to the square, instead of a crop.
    pub resized_crop: Option<ResizedCrop>,
    /// What then happens to the square, in this order.
    #[cfg_attr(feature = "serde", serde(rename = "moves"))]
    pub affine_ops: Vec<AffineOp>,
    /// What happens to its pixels in the second pass, in this order; empty where there is none.
    #[cfg_attr(feature = "serde", serde(rename = "touches"))]
    pub pixel_ops: Vec<PixelOp>,
}

impl Draw {
    /// No change but the centre crop: what validation images get.
    #[must_use]
    pub fn identity() -> Self {
        Self {
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

    /// Where each pixel of the result, `target` pixels square, lies in a source of `(width, height)` pixels.
    ///
    /// All geometry in one map: moves of the square, the place of the crop on the canvas, the flip of the canvas, canvas pixels to `[-1, 1]`, perspective,
    /// rotation after zoom with the correction for the canvas's aspect ratio, and `[-1, 1]` to source pixels. The corners of the
    /// `[-1, 1]` square are the centres of the corner pixels, on the canvas and in the source.
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

    /// The curve that pixel values go through.
    #[must_use]
    pub fn lighting(&self) -> Lighting {
        Lighting {
            brightness: self.brightness,
            contrast: self.contrast,
        }
    }
}

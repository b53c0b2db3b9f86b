//! Distributions of augmentation parameters.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::lighting::{draw_brightness, draw_contrast};
use super::policy::{DrawnOps, draw_trivial};
use super::{
    AffineOp, BatchMix, Crop, CropRange, Draw, Erasing, Jitter, Mixing, RandAugment, ResizedCrop,
    ResizedCropRange, Rotate, SymmetricWarp, Zoom,
};
use crate::pixel_ops::PixelOp;
use crate::random::{below, fork, uniform};

/// The distributions from which the [`Draw`] of each sample is drawn. Its text form is described in [`super::text`].
///
/// A part is disabled if its probability or magnitude is 0; [`Recipe::normalized`] gives all disabled parts the same form.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Recipe {
    /// Which uses of a sample are augmented.
    pub augment: Augment,
    /// Perspective warp: each of four magnitudes is uniform over `[-max, max]`.
    pub warp: Magnitude,
    /// Rotation is uniform over `[-max, max]` degrees.
    pub rotate: Magnitude,
    /// Zoom towards a point of [`Recipe::focus`].
    pub zoom: ZoomRange,
    /// The point towards which images are zoomed, as fractions of height and width.
    pub focus: CropRange,
    /// Brightness is uniform over `[0.5 (1 - max), 0.5 (1 + max)]`.
    pub brightness: Magnitude,
    /// Contrast is log-uniform over `[1 - max, 1 / (1 - max)]`.
    pub contrast: Magnitude,
    /// Probability of mirroring left to right.
    pub flip: f32,
    /// Position of the crop.
    pub crop: CropRange,
    /// A random region of the source, resized to the square, instead of a crop.
    pub resized_crop: ResizedCropRange,
    /// Probability of mirroring top to bottom.
    pub flip_vertical: f32,
    /// Probability of a uniformly drawn symmetry of the square (one of eight, including the identity).
    pub dihedral: f32,
    /// RandAugment: several operations with a fixed magnitude.
    pub randaugment: RandAugment,
    /// Probability of TrivialAugment: one operation with a random magnitude.
    pub trivialaugment: f32,
    /// Colour jitter: brightness, contrast, saturation and hue in random order.
    pub jitter: Jitter,
    /// Probability of conversion to greyscale.
    pub grayscale: f32,
    /// Gaussian blur.
    pub blur: Blur,
    /// Random erasing.
    pub erase: Erasing,
    /// Mixup of pairs of images.
    pub mixup: Mixing,
    /// Cutmix of pairs of images.
    pub cutmix: Mixing,
}

/// Gaussian blur with a standard deviation, in pixels, uniform over `[min, max]`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Blur {
    /// Minimum.
    pub min: f32,
    /// Maximum.
    pub max: f32,
    /// Probability.
    pub p: f32,
}

impl Blur {
    /// Disabled.
    pub const OFF: Self = Self {
        min: 0.1,
        max: 0.1,
        p: 0.0,
    };

    fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }
}

/// Which uses of a sample are augmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Augment {
    /// All uses.
    All,
    /// All but the first use in an epoch, which is shown as in validation.
    Repeats,
}

/// Magnitude and probability of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Magnitude {
    /// Maximum, in the unit of the part.
    pub max: f32,
    /// Probability, independent of other parts.
    pub p: f32,
}

/// Zoom with a scale uniform over `[min, max]`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ZoomRange {
    /// Minimum scale.
    pub min: f32,
    /// Maximum scale.
    pub max: f32,
    /// Probability.
    pub p: f32,
}

impl Magnitude {
    /// Disabled.
    pub const OFF: Self = Self { max: 0.0, p: 0.0 };

    fn normalized(self) -> Self {
        if self.max == 0.0 || self.p == 0.0 {
            Self::OFF
        } else {
            self
        }
    }
}

impl ZoomRange {
    /// Disabled.
    pub const OFF: Self = Self {
        min: 1.0,
        max: 1.0,
        p: 0.0,
    };

    fn normalized(self) -> Self {
        if (self.min, self.max) == (1.0, 1.0) || self.p == 0.0 {
            Self::OFF
        } else {
            self
        }
    }
}

impl Recipe {
    /// The default for training: flip, rotation up to 25 degrees, zoom up to 1.1, perspective 0.2, lighting 0.2 (the last four with probability
    /// 0.75), random crop.
    #[must_use]
    pub fn reference() -> Self {
        let often = |max| Magnitude { max, p: 0.75 };
        Self {
            warp: often(0.2),
            rotate: often(25.0),
            zoom: ZoomRange {
                min: 1.0,
                max: 1.1,
                p: 0.75,
            },
            brightness: often(0.2),
            contrast: often(0.2),
            flip: 0.5,
            crop: CropRange::ANYWHERE,
            ..Self::none()
        }
    }

    /// No augmentation: every draw is [`Draw::identity`].
    #[must_use]
    pub fn none() -> Self {
        Self {
            augment: Augment::All,
            warp: Magnitude::OFF,
            rotate: Magnitude::OFF,
            zoom: ZoomRange::OFF,
            focus: CropRange::ANYWHERE,
            brightness: Magnitude::OFF,
            contrast: Magnitude::OFF,
            flip: 0.0,
            crop: CropRange::CENTER,
            resized_crop: ResizedCropRange::OFF,
            flip_vertical: 0.0,
            dihedral: 0.0,
            randaugment: RandAugment::OFF,
            trivialaugment: 0.0,
            jitter: Jitter::OFF,
            grayscale: 0.0,
            blur: Blur::OFF,
            erase: Erasing::OFF,
            mixup: Mixing::OFF,
            cutmix: Mixing::OFF,
        }
    }

    /// The same distributions, with the parameters of all disabled parts as in [`Recipe::none`].
    #[must_use]
    pub fn normalized(&self) -> Self {
        let normalized = Self {
            warp: self.warp.normalized(),
            rotate: self.rotate.normalized(),
            zoom: self.zoom.normalized(),
            focus: match self.zoom.normalized() {
                ZoomRange::OFF => CropRange::ANYWHERE,
                _ => self.focus,
            },
            brightness: self.brightness.normalized(),
            contrast: self.contrast.normalized(),
            resized_crop: self.resized_crop.normalized(),
            randaugment: self.randaugment.normalized(),
            jitter: self.jitter.normalized(),
            blur: self.blur.normalized(),
            erase: self.erase.normalized(),
            mixup: self.mixup.normalized(),
            cutmix: self.cutmix.normalized(),
            ..*self
        };
        let nothing = Self {
            augment: self.augment,
            ..Self::none()
        };
        if normalized == nothing {
            Self::none()
        } else {
            normalized
        }
    }

    /// Draws the augmentation of one sample.
    ///
    /// # Determinism
    ///
    /// Always consumes the same 18 numbers in this order, independent of the recipe and of the Bernoulli draws: perspective (right, left,
    /// bottom, top, Bernoulli), rotation (degrees, Bernoulli), zoom (scale, row, column, Bernoulli), brightness (value, Bernoulli),
    /// contrast (value, Bernoulli), flip (Bernoulli), crop (row, column). So disabling a part, or changing its probability, does not affect
    /// the others. If a recipe has any of the parts after `crop` in [`Recipe`], each of them has its own generator, forked from this one in
    /// the order of the fields.
    #[must_use]
    pub fn draw(&self, generator: &mut impl Rng) -> Draw {
        let warp = SymmetricWarp::draw(generator, self.warp.max.into());
        let warp = bernoulli(generator, self.warp.p).then_some(warp);
        let rotate = Rotate::draw(generator, self.rotate.max.into());
        let rotate = bernoulli(generator, self.rotate.p).then_some(rotate);
        let zoom = Zoom::draw(generator, &self.zoom, &self.focus);
        let zoom = bernoulli(generator, self.zoom.p).then_some(zoom);
        let brightness = draw_brightness(generator, self.brightness.max.into());
        let brightness = bernoulli(generator, self.brightness.p).then_some(brightness);
        let contrast = draw_contrast(generator, self.contrast.max.into());
        let contrast = bernoulli(generator, self.contrast.p).then_some(contrast);
        let flip = bernoulli(generator, self.flip);
        let crop = Crop::draw(generator, &self.crop);
        let mut draw = Draw {
            warp,
            rotate,
            zoom,
            brightness,
            contrast,
            flip,
            crop,
            ..Draw::identity()
        };
        if self.has_extended_ops() {
            self.draw_extended_ops(generator, &mut draw);
        }
        draw
    }

    /// Whether pairs of images are mixed.
    #[must_use]
    pub fn mixes(&self) -> bool {
        self.mixup.p > 0.0 || self.cutmix.p > 0.0
    }

    /// Draws whether a batch uses mixup or cutmix; `None` if the recipe has neither.
    #[must_use]
    pub fn batch_mix(&self, generator: &mut ChaCha8Rng) -> Option<BatchMix> {
        BatchMix::draw(self.mixup, self.cutmix, generator)
    }

    /// Whether the recipe has a part beyond fastai's `get_transforms`.
    fn has_extended_ops(&self) -> bool {
        [
            self.resized_crop.p,
            self.flip_vertical,
            self.dihedral,
            self.randaugment.p,
            self.trivialaugment,
            self.jitter.p,
            self.grayscale,
            self.blur.p,
            self.erase.p,
        ]
        .iter()
        .any(|p| *p > 0.0)
    }

    fn draw_extended_ops(&self, generator: &mut impl Rng, draw: &mut Draw) {
        let mut part = |p: f32| {
            let mut own = fork(generator);
            bernoulli(&mut own, p).then_some(own)
        };
        if let Some(mut own) = part(self.resized_crop.p) {
            draw.resized_crop = Some(ResizedCrop::draw(&mut own, &self.resized_crop));
        }
        if part(self.flip_vertical).is_some() {
            draw.affine_ops.push(AffineOp::Dihedral(2));
        }
        if let Some(mut own) = part(self.dihedral) {
            draw.affine_ops.push(AffineOp::Dihedral(below(&mut own, 8) as u8));
        }
        let mut drawn = DrawnOps {
            affine_ops: &mut draw.affine_ops,
            pixel_ops: &mut draw.pixel_ops,
        };
        if let Some(mut own) = part(self.randaugment.p) {
            self.randaugment.draw(&mut own, &mut drawn);
        }
        if let Some(mut own) = part(self.trivialaugment) {
            draw_trivial(&mut own, &mut drawn);
        }
        if let Some(mut own) = part(self.jitter.p) {
            self.jitter.draw(&mut own, &mut draw.pixel_ops);
        }
        if part(self.grayscale).is_some() {
            draw.pixel_ops.push(PixelOp::Saturation(0.0));
        }
        if let Some(mut own) = part(self.blur.p) {
            let sigma = uniform(&mut own, self.blur.min.into(), self.blur.max.into());
            #[allow(
                clippy::cast_possible_truncation,
                reason = "pixel operations have single-precision parameters"
            )]
            draw.pixel_ops.push(PixelOp::Blur(sigma as f32));
        }
        if let Some(mut own) = part(self.erase.p) {
            self.erase.draw(&mut own, &mut draw.pixel_ops);
        }
    }
}

/// `true` with the given probability.
fn bernoulli(generator: &mut impl Rng, probability: f32) -> bool {
    uniform(generator, 0.0, 1.0) < f64::from(probability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    fn draws(recipe: &Recipe, count: u64) -> Vec<Draw> {
        (0..count)
            .map(|position| recipe.draw(&mut generator(3, Purpose::AUGMENT, &[0, position])))
            .collect()
    }

    #[test]
    fn no_augmentation_draws_the_identity() {
        assert!(
            draws(&Recipe::none(), 50)
                .iter()
                .all(|draw| *draw == Draw::identity())
        );
    }

    #[test]
    fn parts_are_drawn_with_their_probability() {
        let draws = draws(&Recipe::reference(), 4000);
        let fraction =
            |is: &dyn Fn(&Draw) -> bool| draws.iter().filter(|draw| is(draw)).count() as f64 / 4000.0;
        for (name, fraction, expected) in [
            ("warp", fraction(&|d| d.warp.is_some()), 0.75),
            ("rotate", fraction(&|d| d.rotate.is_some()), 0.75),
            ("zoom", fraction(&|d| d.zoom.is_some()), 0.75),
            ("brightness", fraction(&|d| d.brightness.is_some()), 0.75),
            ("contrast", fraction(&|d| d.contrast.is_some()), 0.75),
            ("flip", fraction(&|d| d.flip), 0.5),
            (
                "warp and rotate",
                fraction(&|d| d.warp.is_some() && d.rotate.is_some()),
                0.5625,
            ),
        ] {
            assert!((fraction - expected).abs() < 0.03, "{name}: {fraction}");
        }
    }

    #[test]
    fn parameters_stay_within_the_recipe() {
        for draw in draws(&Recipe::reference(), 2000) {
            assert!(
                draw.warp
                    .is_none_or(|warp| warp.magnitudes.iter().all(|m| m.abs() <= 0.2001)),
                "{draw:?}"
            );
            assert!(
                draw.rotate.is_none_or(|rotate| rotate.degrees.abs() <= 25.0),
                "{draw:?}"
            );
            assert!(
                draw.zoom.is_none_or(|zoom| (1.0..1.1001).contains(&zoom.scale)),
                "{draw:?}"
            );
            assert!(
                (0.0..1.0).contains(&draw.crop.row) && (0.0..1.0).contains(&draw.crop.column),
                "{draw:?}"
            );
        }
    }

    #[test]
    fn changing_one_part_does_not_affect_the_others() {
        let changed = Recipe {
            warp: Magnitude::OFF,
            contrast: Magnitude { max: 0.2, p: 0.1 },
            flip: 0.0,
            ..Recipe::reference()
        };
        for (a, b) in draws(&Recipe::reference(), 200).iter().zip(&draws(&changed, 200)) {
            assert_eq!((a.rotate, a.zoom, a.crop), (b.rotate, b.zoom, b.crop));
            assert!(b.contrast.is_none() || a.contrast == b.contrast);
            assert!(b.warp.is_none() && !b.flip);
        }
    }

    #[test]
    fn extended_parts_do_not_affect_the_others() {
        let text =
            "fastai flip_vertical dihedral randaugment trivialaugment jitter grayscale blur erase(p=0.5)";
        let extended: Recipe = text.parse().unwrap();
        let fewer: Recipe = text.replace("randaugment trivialaugment", "").parse().unwrap();
        let all = draws(&extended, 300);
        for ((a, b), c) in draws(&Recipe::reference(), 300)
            .iter()
            .zip(&all)
            .zip(draws(&fewer, 300))
        {
            assert_eq!(
                (a.warp, a.zoom, a.contrast, a.crop),
                (b.warp, b.zoom, b.contrast, b.crop)
            );
            assert!(b.pixel_ops.ends_with(&c.pixel_ops) && b.affine_ops.starts_with(&c.affine_ops));
        }
        let blurred = |draw: &&Draw| draw.pixel_ops.iter().any(|op| matches!(op, PixelOp::Blur(_)));
        let count = all.iter().filter(blurred).count();
        assert!((120..180).contains(&count), "{count} of 300");
    }

    #[test]
    fn all_forms_of_a_disabled_part_are_normalized_alike() {
        for recipe in [
            Recipe {
                rotate: Magnitude { max: 0.0, p: 0.75 },
                contrast: Magnitude { max: 0.5, p: 0.0 },
                ..Recipe::none()
            },
            Recipe {
                zoom: ZoomRange {
                    p: 0.5,
                    ..ZoomRange::OFF
                },
                augment: Augment::Repeats,
                ..Recipe::none()
            },
        ] {
            assert_eq!(recipe.normalized(), Recipe::none());
            assert!(
                draws(&recipe, 50)
                    .iter()
                    .all(|draw| draw.rotate.is_none_or(|rotate| rotate.degrees == 0.0))
            );
        }
    }
}

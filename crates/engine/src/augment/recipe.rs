//! Distributions of an augmentation.

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

/// Distributions that each sample's [`Draw`] is drawn from. It has a text form: see [`super::text`].
///
/// A part whose probability or strength is 0 is off; [`Recipe::normalized`] gives every way to switch a part off the same form.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Recipe {
    /// Which uses of an image are augmented.
    pub augment: Augment,
    /// Perspective: each of four magnitudes is uniform over `[-max, max]`.
    pub warp: Magnitude,
    /// Rotation is uniform over `[-max, max]` degrees.
    pub rotate: Magnitude,
    /// Zoom towards a point of [`Recipe::focus`].
    pub zoom: ZoomRange,
    /// Which point zoom goes towards, as fractions of height and width.
    pub focus: CropRange,
    /// Brightness is uniform over `[0.5 (1 - max), 0.5 (1 + max)]`.
    pub brightness: Magnitude,
    /// Contrast is log-uniform over `[1 - max, 1 / (1 - max)]`.
    pub contrast: Magnitude,
    /// Probability of the left-right mirror image.
    pub flip: f32,
    /// Where the square is cut out.
    pub crop: CropRange,
    /// A part of the source resized, instead of a crop.
    pub resized_crop: ResizedCropRange,
    /// Probability of the mirror image of the square top to bottom.
    pub flip_vertical: f32,
    /// Probability of one of the square's eight symmetries, the identity among them.
    pub dihedral: f32,
    /// A few operations of one magnitude.
    pub randaugment: RandAugment,
    /// Probability of one operation of any magnitude.
    pub trivialaugment: f32,
    /// Brightness, contrast, saturation and hue in any order.
    pub jitter: Jitter,
    /// Probability of grey.
    pub grayscale: f32,
    /// Gaussian smoothing.
    pub blur: Blur,
    /// Erased rectangles.
    pub erase: Erasing,
    /// Images that take a share of another one.
    pub mixup: Mixing,
    /// Images that take a rectangle of another one.
    pub cutmix: Mixing,
}

/// A uniform distribution of standard deviations, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Blur {
    /// Least.
    pub min: f32,
    /// Greatest.
    pub max: f32,
    /// Probability.
    pub p: f32,
}

impl Blur {
    /// Never.
    pub const OFF: Self = Self {
        min: 0.1,
        max: 0.1,
        p: 0.0,
    };

    fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }
}

/// Which uses of an image are augmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Augment {
    /// All.
    All,
    /// All but its first in an epoch, at which it is shown as validation shows it.
    Repeats,
}

/// How far a part goes, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Magnitude {
    /// In the part's own unit.
    pub max: f32,
    /// Probability, independent of other parts.
    pub p: f32,
}

/// A uniform distribution of zooms.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ZoomRange {
    /// Least scale.
    pub min: f32,
    /// Greatest scale.
    pub max: f32,
    /// Probability.
    pub p: f32,
}

impl Magnitude {
    /// Never.
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
    /// Never.
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
    /// What training uses unless told otherwise: flip, rotation to 25 degrees, zoom to 1.1, perspective 0.2, lighting 0.2, each with
    /// probability 0.75, random crop.
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

    /// The same distributions, with the numbers of every part that does nothing as in [`Recipe::none`].
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

    /// Draws every parameter of one sample.
    ///
    /// # Determinism
    ///
    /// Always takes the same 18 numbers, in this order, whatever the recipe says and whichever coin says no: perspective (right, left,
    /// bottom, top, coin), rotation (degrees, coin), zoom (scale, row, column, coin), brightness (value, coin), contrast (value, coin),
    /// flip (coin), crop (row, column). So switching one part off, or changing its probability, leaves the numbers of all others alone.
    /// Where a recipe has any further part, each of those has a generator of its own, taken from this one in the order of the fields of
    /// [`Recipe`] behind `crop`.
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

    /// Whether images are mixed with one another.
    #[must_use]
    pub fn mixes(&self) -> bool {
        self.mixup.p > 0.0 || self.cutmix.p > 0.0
    }

    /// Draws by what the pairs of a batch are mixed; `None` where they are not.
    #[must_use]
    pub fn batch_mix(&self, generator: &mut ChaCha8Rng) -> Option<BatchMix> {
        BatchMix::draw(self.mixup, self.cutmix, generator)
    }

    /// Whether it has a part that fastai's `get_transforms` does not have.
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
                reason = "single precision is what a touch holds"
            )]
            draw.pixel_ops.push(PixelOp::Blur(sigma as f32));
        }
        if let Some(mut own) = part(self.erase.p) {
            self.erase.draw(&mut own, &mut draw.pixel_ops);
        }
    }
}

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
    fn parts_run_as_often_as_their_probability_says() {
        let draws = draws(&Recipe::reference(), 4000);
        let share = |is: &dyn Fn(&Draw) -> bool| draws.iter().filter(|draw| is(draw)).count() as f64 / 4000.0;
        for (name, share, expected) in [
            ("warp", share(&|d| d.warp.is_some()), 0.75),
            ("rotate", share(&|d| d.rotate.is_some()), 0.75),
            ("zoom", share(&|d| d.zoom.is_some()), 0.75),
            ("brightness", share(&|d| d.brightness.is_some()), 0.75),
            ("contrast", share(&|d| d.contrast.is_some()), 0.75),
            ("flip", share(&|d| d.flip), 0.5),
            (
                "warp and rotate",
                share(&|d| d.warp.is_some() && d.rotate.is_some()),
                0.5625,
            ),
        ] {
            assert!((share - expected).abs() < 0.03, "{name}: {share}");
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
    fn changing_one_part_leaves_the_numbers_of_the_others_alone() {
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
    fn further_parts_leave_the_numbers_of_the_others_alone() {
        let text =
            "fastai flip_vertical dihedral randaugment trivialaugment jitter grayscale blur erase(p=0.5)";
        let further: Recipe = text.parse().unwrap();
        let fewer: Recipe = text.replace("randaugment trivialaugment", "").parse().unwrap();
        let all = draws(&further, 300);
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
        let blurred = |draw: &&Draw| {
            draw.pixel_ops
                .iter()
                .any(|touch| matches!(touch, PixelOp::Blur(_)))
        };
        let share = all.iter().filter(blurred).count();
        assert!((120..180).contains(&share), "{share} of 300");
    }

    #[test]
    fn every_way_to_do_nothing_is_the_same() {
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

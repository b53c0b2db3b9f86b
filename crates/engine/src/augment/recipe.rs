//! Distributions of augmentation parameters.

use rand_chacha::ChaCha8Rng;

use super::{BatchMix, CropRange, Erasing, Jitter, Mixing, Pad, RandAugment, ResizedCropRange, ZoomRange};

/// The distributions from which the [`Draw`](super::Draw) of each sample is drawn. Its text form is described in [`super::text`].
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
    /// Padding of the source to a square before all other parts, so that nothing of it is cropped.
    pub pad: Pad,
    /// Mixup.
    pub mixup: Mixing,
    /// Cutmix.
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

    /// No augmentation: every draw is [`Draw::identity`](super::Draw::identity).
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
            pad: Pad::OFF,
            mixup: Mixing::OFF,
            cutmix: Mixing::OFF,
        }
    }

    /// The grey value with which images are padded that a model trained with this recipe is evaluated on; `None`: they are cropped.
    #[must_use]
    pub fn evaluation_pad(&self) -> Option<u8> {
        (self.pad.p > 0.0).then(|| self.pad.grey())
    }

    /// No augmentation, of images that are padded with a grey value, or cropped to their centre.
    #[must_use]
    pub fn padded(value: Option<u8>) -> Self {
        let of = |value: u8| Pad {
            value: value.into(),
            p: 1.0,
        };
        Self {
            pad: value.map_or(Pad::OFF, of),
            ..Self::none()
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
            pad: self.pad.normalized(),
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

    /// Whether images are mixed.
    #[must_use]
    pub fn mixes(&self) -> bool {
        self.mixup.p > 0.0 || self.cutmix.p > 0.0
    }

    /// Whether images of the balance are mixed into natural ones, instead of in pairs with each other.
    #[must_use]
    pub fn mixes_from_natural(&self) -> bool {
        self.mixing_methods().any(|method| method.mixing().from_natural)
    }

    /// The probability that a batch is mixed.
    #[must_use]
    pub fn mixing_probability(&self) -> f64 {
        self.mean_of_methods(|method| method.mixing().p.into())
    }

    /// The mean weight of the images of the balance that are mixed into natural ones, `size` by `size` pixels, from 0 to 1. 0 if none are.
    #[must_use]
    pub fn mean_weight_in_natural(&self, size: u32) -> f64 {
        if self.mixes_from_natural() {
            self.mean_of_methods(|method| method.mean_weight(size))
        } else {
            0.0
        }
    }

    /// Draws whether a batch uses mixup or cutmix; `None` if the recipe has neither.
    #[must_use]
    pub fn batch_mix(&self, generator: &mut ChaCha8Rng) -> Option<BatchMix> {
        BatchMix::draw(self.mixup, self.cutmix, generator)
    }

    fn mixing_methods(&self) -> impl Iterator<Item = BatchMix> {
        BatchMix::enabled(self.mixup, self.cutmix)
    }

    /// The mean over batches of what each method gives.
    fn mean_of_methods(&self, of: impl Fn(BatchMix) -> f64) -> f64 {
        self.mixing_methods().map(of).sum::<f64>() / self.mixing_methods().count().max(1) as f64
    }
}

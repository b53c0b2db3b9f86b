//! Recipes with a name.

/// A name for a recipe.
#[derive(Debug)]
pub struct Preset {
    /// As written.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What it stands for.
    pub text: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "none",
        about: "no augmentation, as validation",
        text: "",
    },
    Preset {
        name: "fastai",
        about: "the default: fastai's transforms with rotation to 25 degrees",
        text: "flip rotate(25) zoom(1.1) warp(0.2) lighting(0.2) crop",
    },
    Preset {
        name: "light",
        about: "little of everything, for images that are all alike",
        text: "flip rotate(10) zoom(1.05) lighting(0.1) crop",
    },
    Preset {
        name: "flip-only",
        about: "the mirror image, half of the time",
        text: "flip",
    },
    Preset {
        name: "inception",
        about: "what torchvision's examples train ImageNet with, and colour jitter",
        text: "resized_crop flip jitter",
    },
    Preset {
        name: "symmetric",
        about: "for images without an upright direction, such as those from above",
        text: "dihedral rotate(45) zoom(1.1) lighting(0.2) crop",
    },
];

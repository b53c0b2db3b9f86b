//! Named recipes.

/// A named recipe.
#[derive(Debug)]
pub struct Preset {
    /// Name in the text form.
    pub name: &'static str,
    /// One-line description.
    pub about: &'static str,
    /// The recipe, in the text form.
    pub text: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "none",
        about: "no augmentation, as in validation",
        text: "",
    },
    Preset {
        name: "fastai",
        about: "the default: fastai's get_transforms with rotation up to 25 degrees",
        text: "flip rotate(25) zoom(1.1) warp(0.2) lighting(0.2) crop",
    },
    Preset {
        name: "light",
        about: "weaker fastai, for images with little variation",
        text: "flip rotate(10) zoom(1.05) lighting(0.1) crop",
    },
    Preset {
        name: "flip-only",
        about: "mirrors left to right with probability 0.5",
        text: "flip",
    },
    Preset {
        name: "inception",
        about: "torchvision's ImageNet reference augmentation, with colour jitter",
        text: "resized_crop flip jitter",
    },
    Preset {
        name: "symmetric",
        about: "for images without an upright direction, such as aerial photographs",
        text: "dihedral rotate(45) zoom(1.1) lighting(0.2) crop",
    },
];

//! The parts of recipes and their parameters.

use super::super::{CropRange, Magnitude, Recipe, ZoomRange};

/// A part of a recipe.
#[derive(Debug)]
pub struct Part {
    /// Name in the text form.
    pub name: &'static str,
    /// One-line description.
    pub about: &'static str,
    /// Its parameters, in the order of values without a name.
    pub parameters: &'static [Parameter],
    /// Whether the part is enabled in a recipe.
    pub(super) is_on: fn(&Recipe) -> bool,
}

/// A parameter of a part.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name in the text form.
    pub name: &'static str,
    /// The value if none is given.
    pub default: Fallback,
    /// Minimum.
    pub low: f32,
    /// Maximum.
    pub high: f32,
    /// Whether the value must be an integer.
    pub is_whole: bool,
    pub(super) get: fn(&Recipe) -> f32,
    pub(super) set: fn(&mut Recipe, f32),
}

/// The default of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fallback {
    /// A fixed value.
    Value(f32),
    /// The value of the option `p_affine`.
    Affine,
    /// The value of the option `p_lighting`.
    Lighting,
}

/// `parameter!(name, default, low..high, field of the recipe)`.
macro_rules! parameter {
    ($name:literal, $default:expr, $low:literal..$high:literal, $($place:ident).+ $(, $($also:ident).+)?) => {
        Parameter {
            name: $name,
            default: $default,
            low: $low,
            high: $high,
            is_whole: false,
            get: |recipe| recipe.$($place).+,
            set: |recipe, value| {
                recipe.$($place).+ = value;
                $(recipe.$($also).+ = value;)?
            },
        }
    };
}

use Fallback::{Affine, Lighting, Value};

/// All parts, in the order in which recipes are printed.
pub const PARTS: &[Part] = &[
    Part {
        name: "flip",
        about: "mirrors left to right",
        parameters: &[parameter!("p", Value(0.5), 0.0..1.0, flip)],
        is_on: |recipe| recipe.flip > 0.0,
    },
    Part {
        name: "rotate",
        about: "rotates by -degrees to degrees",
        parameters: &[
            parameter!("degrees", Value(25.0), 0.0..180.0, rotate.max),
            parameter!("p", Affine, 0.0..1.0, rotate.p),
        ],
        is_on: |recipe| recipe.rotate != Magnitude::OFF,
    },
    Part {
        name: "zoom",
        about: "zooms by a factor from min to max, towards a random point",
        parameters: &[
            parameter!("max", Value(1.1), 0.1..10.0, zoom.max),
            parameter!("min", Value(1.0), 0.1..10.0, zoom.min),
            parameter!("p", Affine, 0.0..1.0, zoom.p),
        ],
        is_on: |recipe| recipe.zoom != ZoomRange::OFF,
    },
    Part {
        name: "focus",
        about: "range of the point towards which zoom goes, as fractions of height and width",
        parameters: &[
            parameter!("row_min", Value(0.0), 0.0..1.0, focus.row_min),
            parameter!("row_max", Value(1.0), 0.0..1.0, focus.row_max),
            parameter!("column_min", Value(0.0), 0.0..1.0, focus.column_min),
            parameter!("column_max", Value(1.0), 0.0..1.0, focus.column_max),
        ],
        is_on: |recipe| recipe.focus != CropRange::ANYWHERE,
    },
    Part {
        name: "warp",
        about: "perspective: moves the ends of each edge in or out by up to this fraction of half the image",
        parameters: &[
            parameter!("magnitude", Value(0.2), 0.0..0.5, warp.max),
            parameter!("p", Affine, 0.0..1.0, warp.p),
        ],
        is_on: |recipe| recipe.warp != Magnitude::OFF,
    },
    Part {
        name: "lighting",
        about: "brightness and contrast with the same maximum, each drawn independently",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, brightness.max, contrast.max),
            parameter!("p", Lighting, 0.0..1.0, brightness.p, contrast.p),
        ],
        is_on: |recipe| recipe.brightness != Magnitude::OFF && recipe.brightness == recipe.contrast,
    },
    Part {
        name: "brightness",
        about: "adds logit(b) to the logits of pixel values, b from 0.5 (1 - change) to 0.5 (1 + change)",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, brightness.max),
            parameter!("p", Lighting, 0.0..1.0, brightness.p),
        ],
        is_on: |recipe| recipe.brightness != Magnitude::OFF && recipe.brightness != recipe.contrast,
    },
    Part {
        name: "contrast",
        about: "multiplies the logits of pixel values by 1 - change to 1 / (1 - change)",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, contrast.max),
            parameter!("p", Lighting, 0.0..1.0, contrast.p),
        ],
        is_on: |recipe| recipe.contrast != Magnitude::OFF && recipe.brightness != recipe.contrast,
    },
    Part {
        name: "crop",
        about: "crops the square at a random position within these fractions of the possible range, instead of the centre",
        parameters: &[
            parameter!("row_min", Value(0.0), 0.0..1.0, crop.row_min),
            parameter!("row_max", Value(1.0), 0.0..1.0, crop.row_max),
            parameter!("column_min", Value(0.0), 0.0..1.0, crop.column_min),
            parameter!("column_max", Value(1.0), 0.0..1.0, crop.column_max),
        ],
        is_on: |recipe| recipe.crop != CropRange::CENTER,
    },
    Part {
        name: "resized_crop",
        about: "resizes a random region (fraction of the area, ratio of width to height) to the square, as torchvision's RandomResizedCrop",
        parameters: &[
            parameter!("scale_min", Value(0.08), 0.001..1.0, resized_crop.scale_min),
            parameter!("scale_max", Value(1.0), 0.001..1.0, resized_crop.scale_max),
            parameter!("ratio_min", Value(0.75), 0.1..10.0, resized_crop.ratio_min),
            parameter!("ratio_max", Value(4.0 / 3.0), 0.1..10.0, resized_crop.ratio_max),
            parameter!("p", Value(1.0), 0.0..1.0, resized_crop.p),
        ],
        is_on: |recipe| recipe.resized_crop.p > 0.0,
    },
    Part {
        name: "flip_vertical",
        about: "mirrors top to bottom",
        parameters: &[parameter!("p", Value(0.5), 0.0..1.0, flip_vertical)],
        is_on: |recipe| recipe.flip_vertical > 0.0,
    },
    Part {
        name: "dihedral",
        about: "applies one of the eight symmetries of the square (mirror images and rotations by 90 degrees)",
        parameters: &[parameter!("p", Value(1.0), 0.0..1.0, dihedral)],
        is_on: |recipe| recipe.dihedral > 0.0,
    },
    Part {
        name: "randaugment",
        about: "applies n of torchvision's 14 RandAugment operations, each with magnitude m of 30",
        parameters: &[
            whole(parameter!("n", Value(2.0), 1.0..14.0, randaugment.n)),
            whole(parameter!("m", Value(9.0), 0.0..30.0, randaugment.m)),
            parameter!("p", Value(1.0), 0.0..1.0, randaugment.p),
        ],
        is_on: |recipe| recipe.randaugment.p > 0.0,
    },
    Part {
        name: "trivialaugment",
        about: "applies one of the 14 operations with a random magnitude of a wider range, as torchvision's TrivialAugmentWide",
        parameters: &[parameter!("p", Value(1.0), 0.0..1.0, trivialaugment)],
        is_on: |recipe| recipe.trivialaugment > 0.0,
    },
    Part {
        name: "jitter",
        about: "colour jitter: factors from 1 - value to 1 + value and hue shifts from -hue to hue, in random order, as torchvision's ColorJitter",
        parameters: &[
            parameter!("brightness", Value(0.4), 0.0..1.0, jitter.brightness),
            parameter!("contrast", Value(0.4), 0.0..1.0, jitter.contrast),
            parameter!("saturation", Value(0.4), 0.0..1.0, jitter.saturation),
            parameter!("hue", Value(0.0), 0.0..0.5, jitter.hue),
            parameter!("p", Value(1.0), 0.0..1.0, jitter.p),
        ],
        is_on: |recipe| recipe.jitter.p > 0.0,
    },
    Part {
        name: "grayscale",
        about: "converts to greyscale",
        parameters: &[parameter!("p", Value(0.1), 0.0..1.0, grayscale)],
        is_on: |recipe| recipe.grayscale > 0.0,
    },
    Part {
        name: "blur",
        about: "Gaussian blur with a standard deviation from min to max pixels",
        parameters: &[
            parameter!("max", Value(2.0), 0.1..20.0, blur.max),
            parameter!("min", Value(0.1), 0.1..20.0, blur.min),
            parameter!("p", Value(0.5), 0.0..1.0, blur.p),
        ],
        is_on: |recipe| recipe.blur.p > 0.0,
    },
    Part {
        name: "erase",
        about: "random erasing (cutout): fills 1 to holes rectangles, of these fractions of the area, with the ImageNet mean",
        parameters: &[
            parameter!("p", Value(0.5), 0.0..1.0, erase.p),
            parameter!("area_min", Value(0.02), 0.0..0.9, erase.area_min),
            parameter!("area_max", Value(0.33), 0.0..0.9, erase.area_max),
            parameter!("ratio", Value(3.3), 1.0..10.0, erase.ratio),
            whole(parameter!("holes", Value(1.0), 1.0..16.0, erase.holes)),
        ],
        is_on: |recipe| recipe.erase.p > 0.0,
    },
    Part {
        name: "mixup",
        about: "mixes pairs of images and their labels with weights from Beta(alpha, alpha); with cutmix too, each batch uses one of them",
        parameters: &[
            parameter!("alpha", Value(0.4), 0.001..1000.0, mixup.alpha),
            parameter!("p", Value(1.0), 0.0..1.0, mixup.p),
        ],
        is_on: |recipe| recipe.mixup.p > 0.0,
    },
    Part {
        name: "cutmix",
        about: "exchanges a rectangle between pairs of images, its area from Beta(alpha, alpha), and weights their labels by it",
        parameters: &[
            parameter!("alpha", Value(1.0), 0.001..1000.0, cutmix.alpha),
            parameter!("p", Value(1.0), 0.0..1.0, cutmix.p),
        ],
        is_on: |recipe| recipe.cutmix.p > 0.0,
    },
];

const fn whole(parameter: Parameter) -> Parameter {
    Parameter {
        is_whole: true,
        ..parameter
    }
}

/// Parameters that are the ends of a range: part, lower end, upper end.
pub(super) const RANGES: &[(&str, &str, &str)] = &[
    ("zoom", "min", "max"),
    ("focus", "row_min", "row_max"),
    ("focus", "column_min", "column_max"),
    ("crop", "row_min", "row_max"),
    ("crop", "column_min", "column_max"),
    ("resized_crop", "scale_min", "scale_max"),
    ("resized_crop", "ratio_min", "ratio_max"),
    ("blur", "min", "max"),
    ("erase", "area_min", "area_max"),
];

//! The parts that a recipe can have, and their numbers.

use super::super::{CropRange, Magnitude, Recipe, ZoomRange};

/// A part of a recipe.
#[derive(Debug)]
pub struct Part {
    /// As written in a recipe.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// Its numbers, in the order in which they may be given without their names.
    pub parameters: &'static [Parameter],
    /// Whether a recipe has it.
    pub(super) is_on: fn(&Recipe) -> bool,
}

/// A number of a part.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// As written in a recipe.
    pub name: &'static str,
    /// The value where none is given.
    pub default: Fallback,
    /// Least value allowed.
    pub low: f32,
    /// Greatest value allowed.
    pub high: f32,
    /// Whether it counts something.
    pub is_whole: bool,
    pub(super) get: fn(&Recipe) -> f32,
    pub(super) set: fn(&mut Recipe, f32),
}

/// The value of a parameter that is not given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fallback {
    /// This one.
    Value(f32),
    /// That of the option `p_affine`.
    Affine,
    /// That of the option `p_lighting`.
    Lighting,
}

/// `parameter!(name, default, low..high, place in the recipe)`.
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

/// All parts, in the order in which they are written.
pub const PARTS: &[Part] = &[
    Part {
        name: "flip",
        about: "mirrors left and right",
        parameters: &[parameter!("p", Value(0.5), 0.0..1.0, flip)],
        is_on: |recipe| recipe.flip > 0.0,
    },
    Part {
        name: "rotate",
        about: "turns by up to so many degrees either way",
        parameters: &[
            parameter!("degrees", Value(25.0), 0.0..180.0, rotate.max),
            parameter!("p", Affine, 0.0..1.0, rotate.p),
        ],
        is_on: |recipe| recipe.rotate != Magnitude::OFF,
    },
    Part {
        name: "zoom",
        about: "enlarges by a factor from min to max, towards any point",
        parameters: &[
            parameter!("max", Value(1.1), 0.1..10.0, zoom.max),
            parameter!("min", Value(1.0), 0.1..10.0, zoom.min),
            parameter!("p", Affine, 0.0..1.0, zoom.p),
        ],
        is_on: |recipe| recipe.zoom != ZoomRange::OFF,
    },
    Part {
        name: "focus",
        about: "lets zoom go towards a point between these fractions of height and width, instead of any point",
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
        about: "moves the ends of each edge in or out, by up to so much of half the image",
        parameters: &[
            parameter!("magnitude", Value(0.2), 0.0..0.5, warp.max),
            parameter!("p", Affine, 0.0..1.0, warp.p),
        ],
        is_on: |recipe| recipe.warp != Magnitude::OFF,
    },
    Part {
        name: "lighting",
        about: "brightness and contrast of one strength, each by its own coin",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, brightness.max, contrast.max),
            parameter!("p", Lighting, 0.0..1.0, brightness.p, contrast.p),
        ],
        is_on: |recipe| recipe.brightness != Magnitude::OFF && recipe.brightness == recipe.contrast,
    },
    Part {
        name: "brightness",
        about: "moves logits by that of 0.5 (1 - change) to 0.5 (1 + change)",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, brightness.max),
            parameter!("p", Lighting, 0.0..1.0, brightness.p),
        ],
        is_on: |recipe| recipe.brightness != Magnitude::OFF && recipe.brightness != recipe.contrast,
    },
    Part {
        name: "contrast",
        about: "multiplies logits by 1 - change to 1 / (1 - change)",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, contrast.max),
            parameter!("p", Lighting, 0.0..1.0, contrast.p),
        ],
        is_on: |recipe| recipe.contrast != Magnitude::OFF && recipe.brightness != recipe.contrast,
    },
    Part {
        name: "crop",
        about: "cuts the square out between these fractions of the room there is, instead of the middle",
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
        about: "resizes a part of the image's area, of this ratio of width to height, as torchvision's RandomResizedCrop",
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
        about: "mirrors top and bottom",
        parameters: &[parameter!("p", Value(0.5), 0.0..1.0, flip_vertical)],
        is_on: |recipe| recipe.flip_vertical > 0.0,
    },
    Part {
        name: "dihedral",
        about: "mirrors and turns by right angles: one of the eight symmetries of the square",
        parameters: &[parameter!("p", Value(1.0), 0.0..1.0, dihedral)],
        is_on: |recipe| recipe.dihedral > 0.0,
    },
    Part {
        name: "randaugment",
        about: "n of torchvision's fourteen operations, of magnitude m of 30",
        parameters: &[
            whole(parameter!("n", Value(2.0), 1.0..14.0, randaugment.n)),
            whole(parameter!("m", Value(9.0), 0.0..30.0, randaugment.m)),
            parameter!("p", Value(1.0), 0.0..1.0, randaugment.p),
        ],
        is_on: |recipe| recipe.randaugment.p > 0.0,
    },
    Part {
        name: "trivialaugment",
        about: "one of the fourteen operations, of any magnitude of a wider range",
        parameters: &[parameter!("p", Value(1.0), 0.0..1.0, trivialaugment)],
        is_on: |recipe| recipe.trivialaugment > 0.0,
    },
    Part {
        name: "jitter",
        about: "factors of 1 plus or minus these, and turns of hue, in any order, as torchvision's ColorJitter",
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
        about: "takes the colours away",
        parameters: &[parameter!("p", Value(0.1), 0.0..1.0, grayscale)],
        is_on: |recipe| recipe.grayscale > 0.0,
    },
    Part {
        name: "blur",
        about: "smoothes by a Gaussian of this standard deviation, in pixels",
        parameters: &[
            parameter!("max", Value(2.0), 0.1..20.0, blur.max),
            parameter!("min", Value(0.1), 0.1..20.0, blur.min),
            parameter!("p", Value(0.5), 0.0..1.0, blur.p),
        ],
        is_on: |recipe| recipe.blur.p > 0.0,
    },
    Part {
        name: "erase",
        about: "fills 1 to so many rectangles of these parts of the area with ImageNet's mean: cutout, random erasing",
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
        about: "mixes pairs of images by shares of Beta(alpha, alpha), and their labels; of mixup and cutmix, each batch gets one",
        parameters: &[
            parameter!("alpha", Value(0.4), 0.001..1000.0, mixup.alpha),
            parameter!("p", Value(1.0), 0.0..1.0, mixup.p),
        ],
        is_on: |recipe| recipe.mixup.p > 0.0,
    },
    Part {
        name: "cutmix",
        about: "exchanges a rectangle between pairs of images, of an area of Beta(alpha, alpha), and shares their labels",
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

/// Pairs of parameters of a part that are the ends of a range: the part, the lower and the upper end.
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

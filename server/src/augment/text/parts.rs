//! The parts that a recipe can have, and their numbers.

use super::super::{CropRange, Recipe, Strength, ZoomRange};

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
#[derive(Debug)]
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
        is_on: |recipe| recipe.rotate != Strength::OFF,
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
        name: "warp",
        about: "moves the ends of each edge in or out, by up to so much of half the image",
        parameters: &[
            parameter!("magnitude", Value(0.2), 0.0..0.5, warp.max),
            parameter!("p", Affine, 0.0..1.0, warp.p),
        ],
        is_on: |recipe| recipe.warp != Strength::OFF,
    },
    Part {
        name: "lighting",
        about: "brightness and contrast of one strength, each by its own coin",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, brightness.max, contrast.max),
            parameter!("p", Lighting, 0.0..1.0, brightness.p, contrast.p),
        ],
        is_on: |recipe| recipe.brightness != Strength::OFF && recipe.brightness == recipe.contrast,
    },
    Part {
        name: "brightness",
        about: "moves logits by that of 0.5 (1 - change) to 0.5 (1 + change)",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, brightness.max),
            parameter!("p", Lighting, 0.0..1.0, brightness.p),
        ],
        is_on: |recipe| recipe.brightness != Strength::OFF && recipe.brightness != recipe.contrast,
    },
    Part {
        name: "contrast",
        about: "multiplies logits by 1 - change to 1 / (1 - change)",
        parameters: &[
            parameter!("change", Value(0.2), 0.0..0.9, contrast.max),
            parameter!("p", Lighting, 0.0..1.0, contrast.p),
        ],
        is_on: |recipe| recipe.contrast != Strength::OFF && recipe.brightness != recipe.contrast,
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
];

/// Pairs of parameters of a part that are the ends of a range: the part, the lower and the upper end.
pub(super) const RANGES: &[(&str, &str, &str)] = &[
    ("zoom", "min", "max"),
    ("crop", "row_min", "row_max"),
    ("crop", "column_min", "column_max"),
];

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
    /// The names of the values 0, 1, ...; empty for a parameter whose values are numbers.
    pub names: &'static [&'static str],
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

/// `description part: whether it is enabled => [parameter: range, default, fields of the recipe; ...; parameter of another form];`
macro_rules! parts {
    ($($about:literal $part:ident: $is_on:expr => [
        $($parameter:ident $($whole:ident)?: $low:literal..$high:literal, $default:expr, $($($place:ident).+),+;)+ $(+ $other:expr)?
    ];)+) => {
        &[$(Part {
            name: stringify!($part),
            about: $about,
            parameters: &[$(Parameter {
                name: stringify!($parameter),
                default: $default,
                low: $low,
                high: $high,
                is_whole: parts!(@$($whole)?),
                names: &[],
                // Fields that one parameter sets have the same value.
                get: |recipe| [$(recipe.$($place).+),+][0],
                set: |recipe, value| {
                    $(recipe.$($place).+ = value;)+
                },
            }),+ $(, $other)?],
            is_on: $is_on,
        }),+]
    };
    (@whole) => { true };
    (@) => { false };
}

use Fallback::{Affine, Lighting, Value};

/// Where the image comes from that another one of the balance is mixed into.
const fn from(get: fn(&Recipe) -> f32, set: fn(&mut Recipe, f32)) -> Parameter {
    Parameter {
        name: "from",
        default: Value(0.0),
        low: 0.0,
        high: 1.0,
        is_whole: true,
        names: &["balance", "natural"],
        get,
        set,
    }
}

/// All parts, in the order in which recipes are printed.
pub const PARTS: &[Part] = parts! {
    "mirrors left to right"
    flip: |recipe| recipe.flip > 0.0 => [
        p: 0.0..1.0, Value(0.5), flip;
    ];
    "rotates by -degrees to degrees"
    rotate: |recipe| recipe.rotate != Magnitude::OFF => [
        degrees: 0.0..180.0, Value(25.0), rotate.max;
        p: 0.0..1.0, Affine, rotate.p;
    ];
    "zooms by a factor from min to max, towards a random point"
    zoom: |recipe| recipe.zoom != ZoomRange::OFF => [
        max: 0.1..10.0, Value(1.1), zoom.max;
        min: 0.1..10.0, Value(1.0), zoom.min;
        p: 0.0..1.0, Affine, zoom.p;
    ];
    "range of the point towards which zoom goes, as fractions of height and width"
    focus: |recipe| recipe.focus != CropRange::ANYWHERE => [
        row_min: 0.0..1.0, Value(0.0), focus.row_min;
        row_max: 0.0..1.0, Value(1.0), focus.row_max;
        column_min: 0.0..1.0, Value(0.0), focus.column_min;
        column_max: 0.0..1.0, Value(1.0), focus.column_max;
    ];
    "perspective: moves the ends of each edge in or out by up to this fraction of half the image"
    warp: |recipe| recipe.warp != Magnitude::OFF => [
        magnitude: 0.0..0.5, Value(0.2), warp.max;
        p: 0.0..1.0, Affine, warp.p;
    ];
    "brightness and contrast with the same maximum, each drawn independently"
    lighting: |recipe| recipe.brightness != Magnitude::OFF && recipe.brightness == recipe.contrast => [
        change: 0.0..0.9, Value(0.2), brightness.max, contrast.max;
        p: 0.0..1.0, Lighting, brightness.p, contrast.p;
    ];
    "adds logit(b) to the logits of pixel values, b from 0.5 (1 - change) to 0.5 (1 + change)"
    brightness: |recipe| recipe.brightness != Magnitude::OFF && recipe.brightness != recipe.contrast => [
        change: 0.0..0.9, Value(0.2), brightness.max;
        p: 0.0..1.0, Lighting, brightness.p;
    ];
    "multiplies the logits of pixel values by 1 - change to 1 / (1 - change)"
    contrast: |recipe| recipe.contrast != Magnitude::OFF && recipe.brightness != recipe.contrast => [
        change: 0.0..0.9, Value(0.2), contrast.max;
        p: 0.0..1.0, Lighting, contrast.p;
    ];
    "crops the square at a random position within these fractions of the possible range, instead of the centre"
    crop: |recipe| recipe.crop != CropRange::CENTER => [
        row_min: 0.0..1.0, Value(0.0), crop.row_min;
        row_max: 0.0..1.0, Value(1.0), crop.row_max;
        column_min: 0.0..1.0, Value(0.0), crop.column_min;
        column_max: 0.0..1.0, Value(1.0), crop.column_max;
    ];
    "resizes a random region (fraction of the area, ratio of width to height) to the square, as torchvision's RandomResizedCrop"
    resized_crop: |recipe| recipe.resized_crop.p > 0.0 => [
        scale_min: 0.001..1.0, Value(0.08), resized_crop.scale_min;
        scale_max: 0.001..1.0, Value(1.0), resized_crop.scale_max;
        ratio_min: 0.1..10.0, Value(0.75), resized_crop.ratio_min;
        ratio_max: 0.1..10.0, Value(4.0 / 3.0), resized_crop.ratio_max;
        p: 0.0..1.0, Value(1.0), resized_crop.p;
    ];
    "mirrors top to bottom"
    flip_vertical: |recipe| recipe.flip_vertical > 0.0 => [
        p: 0.0..1.0, Value(0.5), flip_vertical;
    ];
    "applies one of the eight symmetries of the square (mirror images and rotations by 90 degrees)"
    dihedral: |recipe| recipe.dihedral > 0.0 => [
        p: 0.0..1.0, Value(1.0), dihedral;
    ];
    "applies n of torchvision's 14 RandAugment operations, each with magnitude m of 30"
    randaugment: |recipe| recipe.randaugment.p > 0.0 => [
        n whole: 1.0..14.0, Value(2.0), randaugment.n;
        m whole: 0.0..30.0, Value(9.0), randaugment.m;
        p: 0.0..1.0, Value(1.0), randaugment.p;
    ];
    "applies one of the 14 operations with a random magnitude of a wider range, as torchvision's TrivialAugmentWide"
    trivialaugment: |recipe| recipe.trivialaugment > 0.0 => [
        p: 0.0..1.0, Value(1.0), trivialaugment;
    ];
    "colour jitter: factors from 1 - value to 1 + value and hue shifts from -hue to hue, in random order, as torchvision's ColorJitter"
    jitter: |recipe| recipe.jitter.p > 0.0 => [
        brightness: 0.0..1.0, Value(0.4), jitter.brightness;
        contrast: 0.0..1.0, Value(0.4), jitter.contrast;
        saturation: 0.0..1.0, Value(0.4), jitter.saturation;
        hue: 0.0..0.5, Value(0.0), jitter.hue;
        p: 0.0..1.0, Value(1.0), jitter.p;
    ];
    "converts to greyscale"
    grayscale: |recipe| recipe.grayscale > 0.0 => [
        p: 0.0..1.0, Value(0.1), grayscale;
    ];
    "Gaussian blur with a standard deviation from min to max pixels"
    blur: |recipe| recipe.blur.p > 0.0 => [
        max: 0.1..20.0, Value(2.0), blur.max;
        min: 0.1..20.0, Value(0.1), blur.min;
        p: 0.0..1.0, Value(0.5), blur.p;
    ];
    "random erasing (cutout): fills 1 to holes rectangles, of these fractions of the area, with the ImageNet mean"
    erase: |recipe| recipe.erase.p > 0.0 => [
        p: 0.0..1.0, Value(0.5), erase.p;
        area_min: 0.0..0.9, Value(0.02), erase.area_min;
        area_max: 0.0..0.9, Value(0.33), erase.area_max;
        ratio: 1.0..10.0, Value(3.3), erase.ratio;
        holes whole: 1.0..16.0, Value(1.0), erase.holes;
    ];
    "pads the image to a square with a grey value, instead of cropping it; images of the evaluation, too"
    pad: |recipe| recipe.pad.p > 0.0 => [
        value whole: 0.0..255.0, Value(0.0), pad.value;
        p: 0.0..1.0, Value(1.0), pad.p;
    ];
    "mixes pairs of images and their labels with weights from Beta(alpha, alpha); with cutmix too, each batch uses one of them; from=natural: mixes \
     images of the balance into natural ones, with one weight from Beta(alpha, 1) for each batch (Balanced-MixUp)"
    mixup: |recipe| recipe.mixup.p > 0.0 => [
        alpha: 0.001..1000.0, Value(0.4), mixup.alpha;
        p: 0.0..1.0, Value(1.0), mixup.p;
        + from(
            |recipe| recipe.mixup.from_natural.into(),
            |recipe, value| recipe.mixup.from_natural = value > 0.0,
        )
    ];
    "exchanges a rectangle between pairs of images, its area from Beta(alpha, alpha), and weights their labels by it; from=natural: pastes one of \
     images of the balance into natural ones, the same for all of a batch (CMO)"
    cutmix: |recipe| recipe.cutmix.p > 0.0 => [
        alpha: 0.001..1000.0, Value(1.0), cutmix.alpha;
        p: 0.0..1.0, Value(1.0), cutmix.p;
        + from(
            |recipe| recipe.cutmix.from_natural.into(),
            |recipe, value| recipe.cutmix.from_natural = value > 0.0,
        )
    ];
};

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

//! Model metadata: class names, and how images must be preprocessed.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{adjustments::Adjustments, prior::ClassShares, run::RunConfig};
use equibatch_engine::augment::Recipe;
use equibatch_training::{program::Pixels, runtime::Classifier};

/// Metadata keys of an ONNX model.
const CLASSES: &str = "classes";
pub(super) const PREPROCESSING: &str = "preprocessing";
const TRAINING: &str = "training";
/// [`ClassShares`].
pub(super) const SHARES: &str = "class_shares";
pub(super) const INPUT: &str = "input";
/// [`Adjustments`].
pub(super) const ADJUSTMENTS: &str = "adjustments";

/// The model's metadata is insufficient to run it on images.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {model}: its metadata has no usable `{key}`{reason}; was it written by `client train`?")]
pub struct Error {
    /// The model, as named in the error.
    pub model: String,
    /// The missing or malformed metadata key.
    pub key: &'static str,
    /// What is wrong, in brackets; empty if the key is missing or malformed.
    pub reason: String,
}

/// Accepted shares of the short side: see [`Preprocessing::crop_pct`].
pub const CROP_SHARES: RangeInclusive<f64> = 0.1..=1.0;

/// The metadata of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Class names in label order.
    pub classes: Vec<String>,
    /// How images become input tensors.
    pub preprocessing: Preprocessing,
    /// Augmentation recipe used in training; empty if unknown.
    pub recipe: String,
    /// What it was trained on; empty if unknown.
    pub class_shares: ClassShares,
    /// What was done to its logits after training, and its threshold.
    pub adjustments: Adjustments,
}

/// From an image to a tensor: EXIF rotation, downscaling to a short side, resampling, centre crop or padding, normalisation. See
/// [`Preprocessing::steps`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Height and width of the tensor, in pixels.
    pub image_size: u32,
    /// Short side of the downscaled image, in pixels; 0: not downscaled.
    pub canonical_short_side: u32,
    /// Mean per channel in [0, 1] units: red, green, blue.
    pub mean: [f32; 3],
    /// Standard deviation per channel in [0, 1] units: red, green, blue.
    pub std: [f32; 3],
    /// Share of the short side that [`Predictor::crop`](super::predict::Predictor::crop) uses, within [`CROP_SHARES`], if it is not all: of a
    /// network that another program trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop_pct: Option<f64>,
    /// Grey value with which images are padded to a square instead of cropped, from 0 (black) to 255; `None`: cropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<u8>,
}

impl Preprocessing {
    /// The preprocessing of a run's images.
    #[must_use]
    pub fn of(config: &RunConfig) -> Self {
        Self {
            image_size: config.image_size,
            canonical_short_side: config.canonical_short_side,
            mean: config.mean,
            std: config.std,
            crop_pct: None,
            pad: config
                .recipe
                .parse()
                .ok()
                .and_then(|recipe: Recipe| recipe.evaluation_pad()),
        }
    }

    /// The recipe of images without augmentation, for requests.
    #[must_use]
    pub fn recipe(&self) -> String {
        Recipe::padded(self.pad).to_string()
    }

    /// All preprocessing steps in order, for implementations elsewhere.
    #[must_use]
    pub fn steps(&self) -> serde_json::Value {
        let (size, short) = (self.image_size, self.canonical_short_side);
        let mut steps = vec![
            json!({ "step": "decode", "to": "RGB, 8 bits", "transparency": "dropped", "colour_profile": "not applied" }),
            json!({ "step": "turn", "by": "EXIF orientation" }),
        ];
        if short > 0 {
            steps.push(json!({
                "step": "shrink", "if": format!("short side > {short}"), "short_side": short,
                "long_side": format!("floor(long * {short} / short + 1/2)"), "filter": "triangle, antialiased",
            }));
        }
        if let Some(value) = self.pad {
            let most = 2 * u64::from(size);
            steps.extend([
                json!({
                    "step": "shrink", "if": format!("long side > {most}"), "long_side": most,
                    "short_side": format!("floor(short * {most} / long + 1/2), at least 1"), "filter": "triangle, antialiased",
                }),
                json!({
                    "step": "pad", "to": "a square", "value": value, "left": "floor((side - width) / 2)", "top": "floor((side - height) / 2)",
                }),
            ]);
        }
        steps.extend([
            json!({
                "step": "resample", "short_side": size, "long_side": format!("round(long * {size} / short), halves to even"),
                "filter": "bilinear, align_corners",
            }),
            json!({
                "step": "crop", "width": size, "height": size,
                "left": format!("floor((width - {size} + 1) / 2)"), "top": format!("floor((height - {size} + 1) / 2)"),
            }),
            json!({ "step": "normalize", "values": "(pixel / 255 - mean) / std" }),
        ]);
        steps.into()
    }
}

/// Serialised form of the preprocessing: its parameters and its steps.
#[derive(Serialize)]
struct Described<'a> {
    #[serde(flatten)]
    numbers: &'a Preprocessing,
    steps: serde_json::Value,
}

/// The model's input, and the preprocessing that its own first nodes do, as JSON.
#[must_use]
pub fn describe_input(preprocessing: &Preprocessing, pixels: Option<&Pixels>) -> String {
    let size = preprocessing.image_size;
    let planes = serde_json::json!(["batch", 3, size, size]);
    let description = match pixels {
        None => serde_json::json!({
            "name": "images", "element_type": "f32", "layout": "NCHW", "shape": planes, "channels": "RGB",
            "values": "(pixel / 255 - mean) / std", "inside": "nothing",
        }),
        Some(pixels) => serde_json::json!({
            "name": "images", "element_type": "u8", "channels": "RGB",
            "layout": if pixels.channels_last { "NHWC" } else { "NCHW" },
            "shape": if pixels.channels_last { serde_json::json!(["batch", size, size, 3]) } else { planes },
            "values": "pixel, 0 to 255", "inside": "(pixel / 255 - mean) / std",
        }),
    };
    description.to_string()
}

impl ModelCard {
    /// The metadata of a run's model.
    #[must_use]
    pub fn metadata(config: &RunConfig) -> Vec<(String, String)> {
        let preprocessing = Preprocessing::of(config);
        let text = |value: serde_json::Result<String>| value.expect("plain data");
        let described = Described {
            numbers: &preprocessing,
            steps: preprocessing.steps(),
        };
        vec![
            (CLASSES.to_owned(), text(serde_json::to_string(&config.classes))),
            (PREPROCESSING.to_owned(), text(serde_json::to_string(&described))),
            (TRAINING.to_owned(), text(serde_json::to_string(config))),
            (INPUT.to_owned(), describe_input(&preprocessing, None)),
            (
                SHARES.to_owned(),
                text(serde_json::to_string(&config.class_shares)),
            ),
        ]
    }

    /// Reads the metadata of a model called `model`.
    ///
    /// # Errors
    ///
    /// [`Error`] if a key is missing or malformed.
    pub fn read(model: &str, classifier: &Classifier) -> Result<Self, Error> {
        fn value<T: serde::de::DeserializeOwned>(
            model: &str,
            classifier: &Classifier,
            key: &'static str,
        ) -> Result<T, Error> {
            let text = classifier.metadata(key);
            text.and_then(|text| serde_json::from_str(&text).ok())
                .ok_or_else(|| Error {
                    model: model.to_owned(),
                    key,
                    reason: String::new(),
                })
        }
        let classes = value(model, classifier, CLASSES)?;
        let preprocessing: Preprocessing = value(model, classifier, PREPROCESSING)?;
        if let Some(share) = preprocessing
            .crop_pct
            .filter(|share| !CROP_SHARES.contains(share))
        {
            let (least, most) = CROP_SHARES.into_inner();
            return Err(Error {
                model: model.to_owned(),
                key: PREPROCESSING,
                reason: format!(" (crop_pct {share}: expected a number from {least} to {most})"),
            });
        }
        Ok(Self {
            classes,
            preprocessing,
            recipe: value::<RunConfig>(model, classifier, TRAINING)
                .map(|config| config.recipe)
                .unwrap_or_default(),
            class_shares: value(model, classifier, SHARES).unwrap_or_default(),
            adjustments: value(model, classifier, ADJUSTMENTS).unwrap_or_default(),
        })
    }
}

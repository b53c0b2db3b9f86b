//! Files of an interpretation in a run's folder.

use std::{
    io::{self, Cursor},
    path::{Path, PathBuf},
};

use equibatch_cli::files::{self, WriteError, cannot_write};
use equibatch_stream::Split;
use image::{ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};

use crate::learn::metrics::{Metrics, PrecisionRecall};

/// Metrics of a model on a split, and its images of largest loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interpretation {
    /// The evaluated split.
    pub split: Split,
    /// Metrics on the split.
    #[serde(rename = "figures")]
    pub metrics: Metrics,
    /// Precision-recall curves, of many classes those with the smallest average precision.
    #[serde(default)]
    pub curves: Vec<PrecisionRecall>,
    /// Images in descending order of loss.
    #[serde(rename = "worst")]
    pub top_losses: Vec<TopLossRecord>,
    /// Why no image has a Grad-CAM map; absent if all have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_attention: Option<String>,
}

/// An image of large loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopLossRecord {
    /// Index into the dataset's samples.
    pub sample: u32,
    /// Path relative to the root of the dataset; `None` if the server does not report it.
    pub path: Option<String>,
    /// Name of its class.
    pub actual: String,
    /// Name of the predicted class.
    pub predicted: String,
    /// Cross entropy, in nats.
    pub loss: f64,
    /// Predicted probability of its class.
    pub probability: f64,
    /// File name of the preprocessed image in the same folder.
    pub picture: String,
    /// File name of the Grad-CAM overlay for the actual class; `None` if it cannot be computed for this network.
    pub attention: Option<String>,
}

impl Interpretation {
    /// The folder of images in a run's folder.
    #[must_use]
    pub fn folder(run: &Path) -> PathBuf {
        run.join("report")
    }

    fn path(run: &Path) -> PathBuf {
        Self::folder(run).join("examination.json")
    }

    /// Writes `examination.json` into a run's folder; its images are written before, with [`Interpretation::write_picture`].
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), WriteError> {
        let text = serde_json::to_string_pretty(self).expect("metrics are plain data");
        let path = Self::path(run);
        files::write(&path, format!("{text}\n").as_bytes())
    }

    /// Writes an image into a run's folder as PNG.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_picture(run: &Path, name: &str, picture: &RgbImage) -> Result<(), WriteError> {
        let path = Self::folder(run).join(name);
        let mut png = Cursor::new(vec![]);
        picture
            .write_to(&mut png, ImageFormat::Png)
            .map_err(io::Error::other)
            .and_then(|()| files::replace(&path, png.get_ref()))
            .map_err(cannot_write(&path))
    }

    /// Reads the interpretation of the run in `run`; `None` if there is none or it cannot be parsed.
    #[must_use]
    pub fn read(run: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(Self::path(run)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Reads an image of the interpretation.
    #[must_use]
    pub fn picture(run: &Path, name: &str) -> Option<RgbImage> {
        // A name from a modified file must not lead out of the folder.
        let name = Path::new(name).file_name()?;
        Some(image::open(Self::folder(run).join(name)).ok()?.to_rgb8())
    }
}

//! What an examination leaves in a run's folder.

use std::{
    io::{self, Cursor},
    path::{Path, PathBuf},
};

use equibatch_cli::files;
use equibatch_stream::Split;
use image::{ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};

use crate::learn::metrics::Metrics;

/// The figures of a model on a split, and the images that it was most wrong about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interpretation {
    /// Which images.
    pub split: Split,
    /// Of the model on them.
    #[serde(rename = "figures")]
    pub metrics: Metrics,
    /// The largest loss first.
    #[serde(rename = "worst")]
    pub top_losses: Vec<TopLossRecord>,
    /// Why no image has an attention map; absent if all have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_attention: Option<String>,
}

/// An image that the model was wrong about, or least sure of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopLossRecord {
    /// Index into the dataset's samples.
    pub sample: u32,
    /// Below the root of the dataset; `None` where the server does not say.
    pub path: Option<String>,
    /// Name of its class.
    pub actual: String,
    /// Name of the class that it was taken for.
    pub predicted: String,
    /// Cross entropy, in nats.
    pub loss: f64,
    /// That the model gave to its class.
    pub probability: f64,
    /// File of the image as the model saw it, beside this one.
    pub picture: String,
    /// File of the same with where the model saw the actual class; `None` if that cannot be computed for its network.
    pub attention: Option<String>,
}

impl Interpretation {
    /// The folder of pictures in a run's folder.
    #[must_use]
    pub fn folder(run: &Path) -> PathBuf {
        run.join("report")
    }

    fn path(run: &Path) -> PathBuf {
        Self::folder(run).join("examination.json")
    }

    /// Writes itself into a run's folder; its pictures are written with [`Interpretation::write_picture`] before.
    ///
    /// # Errors
    ///
    /// The file, and what the system says.
    pub fn write(&self, run: &Path) -> Result<(), (PathBuf, io::Error)> {
        let text = serde_json::to_string_pretty(self).expect("figures are plain data");
        let path = Self::path(run);
        files::replace(&path, format!("{text}\n").as_bytes()).map_err(|error| (path, error))
    }

    /// Writes a picture into a run's folder as PNG.
    ///
    /// # Errors
    ///
    /// The file, and what the system says.
    pub fn write_picture(run: &Path, name: &str, picture: &RgbImage) -> Result<(), (PathBuf, io::Error)> {
        let path = Self::folder(run).join(name);
        let mut png = Cursor::new(vec![]);
        picture
            .write_to(&mut png, ImageFormat::Png)
            .map_err(io::Error::other)
            .and_then(|()| files::replace(&path, png.get_ref()))
            .map_err(|error| (path, error))
    }

    /// That of the run in `run`; `None` where it was never examined, or what is there is not understood.
    #[must_use]
    pub fn read(run: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(Self::path(run)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// A picture of it.
    #[must_use]
    pub fn picture(run: &Path, name: &str) -> Option<RgbImage> {
        // Names are ours; whatever else stands there must not lead out of the folder.
        let name = Path::new(name).file_name()?;
        Some(image::open(Self::folder(run).join(name)).ok()?.to_rgb8())
    }
}

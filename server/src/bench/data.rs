//! The benchmark images.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use image::{RgbImage, codecs::jpeg::JpegEncoder, imageops};
use tempfile::TempDir;

use super::error::Error;
use equibatch_engine::{
    dataset::{Dataset, ScanOptions},
    random::{Purpose, generator, uniform},
};
use equibatch_tools::sample_data;

/// A root of class folders; a temporary one if the images are generated.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) root: PathBuf,
    _drawn: Option<TempDir>,
}

impl Data {
    /// The images at `root`, or generated ones like those of the reference experiment.
    pub(super) fn open(root: Option<&Path>, threads: NonZeroUsize) -> Result<Self, Error> {
        if let Some(root) = root {
            return Ok(Self {
                root: root.to_owned(),
                _drawn: None,
            });
        }
        let folder = TempDir::with_prefix("equibatch-bench-").map_err(Error::Folder)?;
        let options = sample_data::SampleDataOptions {
            test_count: 0,
            threads,
            ..sample_data::SampleDataOptions::new(folder.path())
        };
        sample_data::generate(&options)?;
        Ok(Self {
            root: folder.path().to_owned(),
            _drawn: Some(folder),
        })
    }
}

/// Scans the dataset below `root`, named after the folder.
pub(super) fn scan(root: &Path) -> Result<Dataset, Error> {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    Dataset::scan(&name, root, &ScanOptions::default()).map_err(|source| Error::Dataset {
        name: name.into_owned(),
        source,
    })
}

/// A synthetic photograph as a JPEG file: large shapes with fine noise.
pub(super) fn photograph((width, height): (u32, u32)) -> Result<Vec<u8>, Error> {
    let mut generator = generator(0, Purpose::DRAWING, &[]);
    // Bilinear upsampling of this grid gives large, shaded shapes.
    let shapes = RgbImage::from_fn(width.div_ceil(64) + 1, height.div_ceil(64) + 1, |_, _| {
        image::Rgb([(); 3].map(|()| uniform(&mut generator, 16.0, 240.0) as u8))
    });
    let mut picture = imageops::resize(&shapes, width, height, imageops::FilterType::Triangle);
    for (index, value) in picture.iter_mut().enumerate() {
        // Noise by an integer hash: 36 million draws of the generator would dominate the time.
        let grain = (index as u32).wrapping_mul(2_654_435_761) >> 29;
        *value = value.saturating_add(grain as u8);
    }
    let mut file = vec![];
    let encoder = JpegEncoder::new_with_quality(&mut file, 90);
    picture.write_with_encoder(encoder).map_err(Error::Photograph)?;
    Ok(file)
}

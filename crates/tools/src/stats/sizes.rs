use equibatch_engine::{
    dataset::Dataset,
    decode::{canonical_short_side, canonical_size},
    image::Image,
};
use serde::Serialize;

/// Sizes of all usable images, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeStats {
    /// Number of images.
    pub images: usize,
    /// Widths, in pixels.
    pub width: MinMedianMax,
    /// Heights, in pixels.
    pub height: MinMedianMax,
    /// Images whose short side is smaller than the streamed image size, so that they are upscaled.
    pub enlarged: usize,
    /// Total size of the files, in bytes.
    pub file_bytes: u64,
    /// Total size of all images decoded at the size at which the server caches them: the `--cache-bytes` that holds them all.
    pub decoded_bytes: u64,
}

/// Minimum, median and maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MinMedianMax {
    /// Minimum.
    pub min: u32,
    /// Median; of an even count the upper one of the two in the middle.
    pub median: u32,
    /// Maximum.
    pub max: u32,
}

impl MinMedianMax {
    fn of(mut values: Vec<u32>) -> Option<Self> {
        values.sort_unstable();
        Some(Self {
            min: *values.first()?,
            median: values[values.len() / 2],
            max: *values.last()?,
        })
    }
}

pub(super) fn measure(dataset: &Dataset, image_size: u32) -> Option<SizeStats> {
    let samples = &dataset.samples;
    let short_side = Some(canonical_short_side(image_size));
    let decoded = samples.iter().map(|sample| {
        let (width, height) = canonical_size(sample.width, sample.height, short_side);
        u64::from(width) * u64::from(height) * Image::CHANNELS as u64 + Image::SLACK as u64
    });
    Some(SizeStats {
        images: samples.len(),
        width: MinMedianMax::of(samples.iter().map(|sample| sample.width).collect())?,
        height: MinMedianMax::of(samples.iter().map(|sample| sample.height).collect())?,
        enlarged: samples
            .iter()
            .filter(|sample| sample.width.min(sample.height) < image_size)
            .count(),
        file_bytes: samples.iter().map(|sample| sample.bytes).sum(),
        decoded_bytes: decoded.sum(),
    })
}

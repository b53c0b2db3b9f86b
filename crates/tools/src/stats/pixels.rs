use std::error::Error;

use rayon::prelude::*;
use serde::Serialize;

use super::UnusableFile;
use crate::channel_stats::ChannelStats;
use equibatch_engine::{
    dataset::{Dataset, Split},
    decode::{self, DecodeOptions, canonical_short_side, decode_canonical, read},
};

/// Channel statistics of the training images at the size at which the server caches them, without augmentation. All images have equal
/// weight regardless of their number of pixels, as in a batch.
#[derive(Clone, Debug, Serialize)]
pub struct PixelStats {
    /// Number of images decoded.
    pub images: usize,
    /// All images weighted equally.
    pub natural: ChannelMeanStd,
    /// All classes weighted equally, as in a balanced stream.
    pub balanced: ChannelMeanStd,
}

/// Mean and standard deviation of red, green and blue, in `[0, 1]` units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ChannelMeanStd {
    /// Means.
    pub mean: [f64; 3],
    /// Standard deviations.
    pub std: [f64; 3],
}

impl From<ChannelStats> for ChannelMeanStd {
    fn from(channel_stats: ChannelStats) -> Self {
        Self {
            mean: channel_stats.mean(),
            std: channel_stats.std(),
        }
    }
}

/// Decodes every training image. Returns the statistics, `None` without images, and the files that could not be decoded.
pub(super) fn measure(
    dataset: &Dataset,
    image_size: u32,
    progress: &(impl Fn() + Sync),
) -> (Option<PixelStats>, Vec<UnusableFile>) {
    let options = DecodeOptions {
        orientation: dataset.options.orientation,
        limits: dataset.options.limits,
    };
    let short_side = Some(canonical_short_side(image_size));
    let members = dataset.members(Split::Train);
    let ids: Vec<u32> = members.into_iter().flatten().collect();
    let measured: Vec<(u32, Result<ChannelStats, decode::Error>)> = ids
        .into_par_iter()
        .map(|id| {
            let bytes = read(&dataset.path(id), &dataset.samples[id as usize], &options.limits);
            let image = bytes.and_then(|bytes| decode_canonical(&bytes, &options, short_side));
            progress();
            (id, image.map(|image| ChannelStats::of(&image)))
        })
        .collect();

    let mut by_class = vec![vec![]; dataset.classes.len()];
    let mut broken = vec![];
    for (id, channel_stats) in measured {
        let sample = &dataset.samples[id as usize];
        match channel_stats {
            Ok(channel_stats) => by_class[sample.class as usize].push(channel_stats),
            Err(error) => broken.push(UnusableFile {
                path: sample.path.to_string(),
                reason: clause(&error),
            }),
        }
    }
    (pixels(&by_class), broken)
}

fn pixels(by_class: &[Vec<ChannelStats>]) -> Option<PixelStats> {
    let images = by_class.iter().map(Vec::len).sum();
    let mean = |channel_stats: &Vec<ChannelStats>| {
        ChannelStats::mean_of(channel_stats.iter().map(|channel_stats| (1.0, *channel_stats)))
    };
    let of_class: Vec<ChannelStats> = by_class.iter().map(mean).collect();
    let weighted = |weight: fn(usize) -> f64| {
        let weights = by_class.iter().map(|channel_stats| weight(channel_stats.len()));
        ChannelStats::mean_of(weights.zip(of_class.iter().copied())).into()
    };
    (images > 0).then(|| PixelStats {
        images,
        natural: weighted(|images| images as f64),
        balanced: weighted(|images| if images > 0 { 1.0 } else { 0.0 }),
    })
}

/// An error and its sources as one clause.
fn clause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", clause(source)),
        None => error.to_string(),
    }
}

//! Statistics of class folders: class counts, image sizes, channel mean and standard deviation, and how often each balance policy would
//! draw each image.
//!
//! All numbers are exact: draws are those that [`sampling`](equibatch_engine::sampling) plans, and pixel statistics are over all training images
//! at the size at which the server caches them.

mod balance;
mod pixels;
mod sizes;
mod text;

pub use balance::{ClassDraws, Policy, PolicyStats};
pub use pixels::{ChannelMeanStd, PixelStats};
pub use sizes::{MinMedianMax, SizeStats};
pub use text::text;

use std::num::NonZeroU32;

use serde::Serialize;

use equibatch_engine::dataset::{Dataset, Split};

/// What to compute.
#[derive(Clone, Debug)]
pub struct StatsOptions {
    /// Height and width of the streamed images, in pixels.
    pub image_size: u32,
    /// Images per batch.
    pub batch_size: NonZeroU32,
    /// Balance policies to evaluate.
    pub policies: Vec<Policy>,
    /// Epochs of a stream, over which a scheduled policy changes.
    pub epochs: Option<NonZeroU32>,
    /// Whether to decode the training images; otherwise only headers are read.
    pub pixels: bool,
}

/// Statistics of a data set. Counts are of usable images.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// Root folder.
    pub root: String,
    /// Fingerprint of the dataset.
    pub fingerprint: String,
    /// Classes by label.
    pub classes: Vec<ClassStats>,
    /// Ratio of the largest to the smallest class in the train split; `None` without training images.
    pub imbalance_ratio: Option<f64>,
    /// Image and file sizes; `None` without images.
    pub sizes: Option<SizeStats>,
    /// Pixel statistics of the train split, if it was decoded.
    pub pixels: Option<PixelStats>,
    /// Draws of each policy.
    pub policies: Vec<PolicyStats>,
    /// Files that are never served, with reasons.
    pub unusable: Vec<UnusableFile>,
    /// Warnings of the scan.
    pub warnings: Vec<String>,
}

/// Counts of a class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassStats {
    /// Class name.
    pub name: String,
    /// Images per split.
    pub images: Counts,
}

/// Images per split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Training images.
    pub train: u32,
    /// Validation images.
    pub valid: u32,
    /// Test images.
    pub test: u32,
}

/// A file that is never served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusableFile {
    /// Path relative to the root.
    pub path: String,
    /// Reason, a lower-case clause.
    pub reason: String,
}

/// Computes the statistics that `options` select. `progress` is called once per decoded image.
///
/// # Errors
///
/// If a policy cannot be planned for the class counts.
pub fn stats(
    dataset: &Dataset,
    options: &StatsOptions,
    progress: &(impl Fn() + Sync),
) -> Result<Stats, equibatch_engine::sampling::Error> {
    let [train, valid, test] = Split::ALL.map(|split| dataset.counts(split));
    let classes = dataset.classes.iter().enumerate();
    let classes = classes.map(|(label, name)| ClassStats {
        name: name.clone(),
        images: Counts {
            train: train[label],
            valid: valid[label],
            test: test[label],
        },
    });
    let (pixels, broken) = match options.pixels {
        true => pixels::measure(dataset, options.image_size, progress),
        false => (None, vec![]),
    };
    let quarantined = dataset.quarantine.iter().map(|file| UnusableFile {
        path: file.path.clone(),
        reason: file.reason.clone(),
    });
    Ok(Stats {
        root: dataset.root.display().to_string(),
        fingerprint: dataset.fingerprint.to_string(),
        classes: classes.collect(),
        imbalance_ratio: imbalance(&train),
        sizes: sizes::measure(dataset, options.image_size),
        pixels,
        policies: balance::plan(dataset, options)?,
        unusable: quarantined.chain(broken).collect(),
        warnings: dataset.warnings.iter().map(ToString::to_string).collect(),
    })
}

fn imbalance(counts: &[u32]) -> Option<f64> {
    let present = || counts.iter().copied().filter(|&count| count > 0);
    Some(f64::from(present().max()?) / f64::from(present().min()?))
}

#[cfg(test)]
mod tests;

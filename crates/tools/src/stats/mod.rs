//! What is in a root of class folders, and what a stream would make of it: classes and counts, sizes, mean and standard deviation of
//! the pixels, and how often each balance policy would show each image.
//!
//! Nothing is changed, and nothing is estimated: what a policy draws is what [`sampling`](equibatch_engine::sampling) plans, and the pixels are
//! those of all training images at the size at which the server keeps them.

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

/// What is asked of a dataset.
#[derive(Clone, Debug)]
pub struct StatsOptions {
    /// Height and width of the images that would be streamed.
    pub image_size: u32,
    /// Images in a batch.
    pub batch_size: NonZeroU32,
    /// Policies to try.
    pub policies: Vec<Policy>,
    /// Whether the training images are decoded. Otherwise their headers have to do.
    pub pixels: bool,
}

/// What there is to know. Counts are of usable images.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// The folder.
    pub root: String,
    /// Of the dataset.
    pub fingerprint: String,
    /// By label.
    pub classes: Vec<ClassStats>,
    /// Largest class of the training images over the smallest; none without training images.
    pub imbalance_ratio: Option<f64>,
    /// Widths, heights and bytes; none without images.
    pub sizes: Option<SizeStats>,
    /// Of the training images, where they were decoded.
    pub pixels: Option<PixelStats>,
    /// What the policies would do with the training images.
    pub policies: Vec<PolicyStats>,
    /// Files that are never served, with their reasons.
    pub unusable: Vec<UnusableFile>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

/// One class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassStats {
    /// Its name.
    pub name: String,
    /// Images for training, validation and testing.
    pub images: Counts,
}

/// Images per split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// To learn from.
    pub train: u32,
    /// Held out.
    pub valid: u32,
    /// For the end.
    pub test: u32,
}

/// A file that is never served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusableFile {
    /// Relative to the root.
    pub path: String,
    /// One clause.
    pub reason: String,
}

/// Gathers everything that `options` ask for. `progress` is told of every image that was decoded.
///
/// # Errors
///
/// Where a policy cannot be planned.
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

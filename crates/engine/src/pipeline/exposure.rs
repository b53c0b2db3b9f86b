//! How much of each class a stream has shown.

use std::fmt;

use super::batch::Batch;

/// Classes that are named one by one.
const FEW: usize = 16;

/// Sums of label weights by class: an image that is mixed counts for both of its classes, by their shares.
///
/// Without mixing these are counts. With it, the images of a global batch add up to the same counts, exactly: what an image takes of its
/// partner, the partner takes of it. The part that a shard gets of a batch adds up to them in the mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposure {
    /// In label order.
    pub by_class: Vec<f64>,
}

impl Exposure {
    /// Nothing shown yet of `classes` classes.
    #[must_use]
    pub fn none(classes: usize) -> Self {
        Self {
            by_class: vec![0.0; classes],
        }
    }

    /// Adds the images of a batch.
    pub fn add(&mut self, batch: &Batch) {
        for (image, &label) in batch.labels.iter().enumerate() {
            let mixed = batch.mixed.as_ref().map(|mixed| mixed[image]);
            let weight = mixed.map_or(0.0, |mixed| f64::from(mixed.weight));
            // A weight has 24 bits, so this loses nothing, and neither do the sums of as many images as an epoch may have, but the last digits.
            self.by_class[label as usize] += 1.0 - weight;
            if let Some(mixed) = mixed {
                self.by_class[mixed.label as usize] += weight;
            }
        }
    }

    /// As a line of a log: each of a few `classes`, or the least and the most of many.
    pub(super) fn text(&self, classes: &[String]) -> String {
        let mut named: Vec<(&String, f64)> = classes.iter().zip(self.by_class.iter().copied()).collect();
        if named.len() > FEW {
            named.sort_by(|a, b| a.1.total_cmp(&b.1));
            named.drain(1..named.len() - 1);
        }
        let text = |(class, shown): &(&String, f64)| format!("{class}={}", Rounded(*shown));
        named.iter().map(text).collect::<Vec<_>>().join(" ")
    }
}

/// Two digits behind the point, where they are not 0.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 100.0).round() / 100.0)
    }
}

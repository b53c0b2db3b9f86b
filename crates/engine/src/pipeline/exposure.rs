//! Sums of label weights per class over the batches of a stream.

use std::fmt;

use super::batch::Batch;

/// Maximum number of classes that a log line lists one by one.
const FEW: usize = 16;

/// Sums of label weights by class: a mixed image counts for both of its classes, by their weights.
///
/// Without mixing these are counts. With mixing, the images of a global batch add up to exactly the same counts, since each image of a pair gives
/// what it takes. For the part of one shard this holds in expectation. If images of the balance are mixed into natural ones with weight `w`, those of
/// a batch, or of a shard's part, add up to `(1 - w)` natural and `w` balanced counts exactly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposure {
    /// In label order.
    pub by_class: Vec<f64>,
}

impl Exposure {
    /// Zeros for `classes` classes.
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
            // A weight has 24 bits, so this is exact, as are sums over an epoch but for the last digits.
            self.by_class[label as usize] += 1.0 - weight;
            if let Some(mixed) = mixed {
                self.by_class[mixed.label as usize] += weight;
            }
        }
    }

    /// Text for a log line: each of a few `classes`, or the smallest and the largest of many.
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

/// At most two decimal places.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 100.0).round() / 100.0)
    }
}

use serde::{Deserialize, Serialize};

use super::{Proportion, argmax, softmax};

/// Number of bins.
pub const BINS: usize = 15;

/// The images whose predicted class has a probability within a bin: a point of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Number of images.
    pub images: u64,
    /// Number of correct predictions.
    pub hits: u64,
    /// Mean probability of the predicted class.
    pub confidence: f64,
}

impl ReliabilityBin {
    /// Share of correct predictions.
    #[must_use]
    pub fn accuracy(&self) -> Proportion {
        Proportion {
            hits: self.hits,
            of: self.images,
        }
    }
}

/// How far probabilities are from frequencies: images in bins of equal width by the probability of their predicted class.
///
/// # Source
///
/// Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
#[derive(Clone, Debug, Default)]
pub(super) struct Calibration {
    /// For each bin the number of images, of correct predictions, and the sum of probabilities.
    bins: [(u64, u64, f64); BINS],
}

impl Calibration {
    /// Adds one image by its logits.
    pub(super) fn record(&mut self, logits: &[f32], label: usize) {
        let class = argmax(logits);
        let probability = softmax(logits)[class];
        // Bins include their upper bound.
        let bin = (probability * BINS as f64).ceil() as usize;
        let (images, hits, sum) = &mut self.bins[bin.clamp(1, BINS) - 1];
        *images += 1;
        *hits += u64::from(class == label);
        *sum += probability;
    }

    /// Expected calibration error, from 0 to 1: the mean distance of a bin's accuracy from its mean probability, weighted by its images. `None`
    /// without images.
    pub(super) fn error(&self) -> Option<f64> {
        let total: u64 = self.bins.iter().map(|(images, ..)| images).sum();
        let distance: f64 = self
            .bins
            .iter()
            .map(|(_, hits, sum)| (*hits as f64 - sum).abs())
            .sum();
        (total > 0).then(|| distance / total as f64)
    }

    /// The bins that have images, in ascending order.
    pub(super) fn bins(&self) -> Vec<ReliabilityBin> {
        let filled = self.bins.iter().filter(|(images, ..)| *images > 0);
        let bin = |&(images, hits, sum): &(u64, u64, f64)| ReliabilityBin {
            images,
            hits,
            confidence: sum / images as f64,
        };
        filled.map(bin).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_model_that_is_half_right_is_off_by_a_half() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.error(), None);
        for label in [0, 1] {
            calibration.record(&[100.0, 0.0], label);
        }
        assert_eq!(calibration.error(), Some(0.5));
        let certain = ReliabilityBin {
            images: 2,
            hits: 1,
            confidence: 1.0,
        };
        assert_eq!(calibration.bins(), [certain]);
    }

    #[test]
    fn an_undecided_model_that_is_half_right_is_calibrated() {
        let mut calibration = Calibration::default();
        for label in [0, 1] {
            calibration.record(&[0.0, 0.0], label);
        }
        assert_eq!(calibration.error(), Some(0.0));
    }
}

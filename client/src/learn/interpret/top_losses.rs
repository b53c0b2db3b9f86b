//! Collects the images of largest loss.

use crate::learn::{
    evaluate::EvalSample,
    metrics::{argmax, cross_entropy, softmax},
};

/// An image of large loss.
#[derive(Clone, Debug, PartialEq)]
pub struct TopLoss {
    /// Index into the dataset's samples.
    pub sample: u32,
    /// Label of its class.
    pub label: usize,
    /// Predicted label.
    pub predicted: usize,
    /// Cross entropy, in nats.
    pub loss: f64,
    /// Probability of every class.
    pub probabilities: Vec<f64>,
    /// The model's input tensor.
    pub tensor: Vec<u8>,
}

/// Keeps the `most` images of largest loss.
///
/// # Determinism
///
/// Ties are broken by the smaller sample number, so the order of the images has no effect.
#[derive(Clone, Debug)]
pub struct TopLosses {
    most: usize,
    kept: Vec<TopLoss>,
}

impl TopLosses {
    /// Keeps at most `most` images.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, kept: vec![] }
    }

    /// Records an image if its loss is among the largest.
    pub fn record(&mut self, sample: &EvalSample<'_>) {
        let loss = cross_entropy(sample.logits, sample.label);
        let place = self.kept.partition_point(|kept| {
            loss.total_cmp(&kept.loss)
                .reverse()
                .then(sample.sample.cmp(&kept.sample))
                .is_gt()
        });
        if place >= self.most {
            return;
        }
        let kept = TopLoss {
            sample: sample.sample,
            label: sample.label,
            predicted: argmax(sample.logits),
            loss,
            probabilities: softmax(sample.logits),
            tensor: sample.tensor.to_vec(),
        };
        self.kept.insert(place, kept);
        self.kept.truncate(self.most);
    }

    /// The images, in descending order of loss.
    #[must_use]
    pub fn into_sorted(self) -> Vec<TopLoss> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn top_losses(losses: &[(u32, f32)], most: usize) -> Vec<u32> {
        let mut top_losses = TopLosses::new(most);
        for &(sample, logit) in losses {
            let logits = [0.0, logit];
            top_losses.record(&EvalSample {
                sample,
                label: 0,
                logits: &logits,
                tensor: &sample.to_le_bytes(),
            });
        }
        let kept = top_losses.into_sorted();
        assert!(kept.iter().all(|kept| kept.tensor == kept.sample.to_le_bytes()));
        kept.into_iter().map(|kept| kept.sample).collect()
    }

    #[test]
    fn the_largest_losses_are_kept_with_their_predictions() {
        assert_eq!(
            top_losses(&[(4, 1.0), (7, 3.0), (1, -2.0), (9, 3.0), (2, 0.0)], 3),
            [7, 9, 4]
        );
        assert_eq!(top_losses(&[(4, 1.0)], 3), [4]);
        assert_eq!(top_losses(&[(4, 1.0)], 0), [] as [u32; 0]);
        let mut one = TopLosses::new(1);
        one.record(&EvalSample {
            sample: 3,
            label: 0,
            logits: &[0.0, 0.0, 2.0],
            tensor: &[],
        });
        let kept = one.into_sorted().remove(0);
        assert_eq!((kept.predicted, kept.label), (2, 0));
        assert!((kept.loss + kept.probabilities[0].ln()).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_order_of_images_has_no_effect(losses in prop::collection::vec(-3_i8..3, 0..20), most in 0_usize..6, turn in 0_usize..20) {
            let mut images: Vec<(u32, f32)> = (0..).zip(losses.iter().map(|&loss| f32::from(loss))).collect();
            let before = top_losses(&images, most);
            let turn = turn.min(images.len());
            images.rotate_left(turn);
            prop_assert_eq!(top_losses(&images, most), before);
        }
    }
}

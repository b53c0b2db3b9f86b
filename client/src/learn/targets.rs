//! Targets of the loss: a weight per class and image, computed on the host so that one program serves every loss.

use serde::{Deserialize, Serialize};

use super::class_weights::ClassWeights;
use equibatch_stream::Mixed;

/// Loss options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Label smoothing ε, 0 to 1.
    pub label_smoothing: f32,
    /// Which class weights are used.
    pub class_weights: ClassWeights,
    /// Their values in label order; empty: unweighted.
    pub weights: Vec<f32>,
    /// τ of the logit-adjusted loss (Menon et al., 2021); 0: not adjusted, 1: balanced softmax.
    pub logit_adjust: f32,
    /// γ of the focal loss (Lin et al., 2017); 0: cross entropy.
    pub focal: f32,
}

impl Loss {
    /// Fills the targets of a batch.
    ///
    /// With `q` the label distribution of an image (one-hot, or two classes if images are mixed) and `w` the class weights, image `n` gets
    /// `w_k ((1 − ε) q_nk + ε / K) / W`, where `W`, the sum of `w_k q_nk` over the batch, makes the loss a mean. Micro-batches use the `W` of the
    /// whole batch, so that their losses and gradients sum to those of the whole batch.
    ///
    /// # Shapes
    ///
    /// `labels: [N]`, `targets: f32[N, K]`, flat.
    ///
    /// # Panics
    ///
    /// If the lengths do not match, or a label is not below `K`.
    ///
    /// # Source
    ///
    /// Without weights: fastai's `LabelSmoothingCrossEntropy`, `ε/K · mean(−Σ ln p) + (1 − ε) · mean(−ln p_y)`, and the loss of its
    /// `mixup`. With weights: PyTorch's `cross_entropy` with class labels, smoothed or not. Mixed labels are divided by their weights like
    /// class labels, where PyTorch divides by the number of images.
    pub fn targets(&self, labels: &[u32], mixed: Option<&[Mixed]>, targets: &mut [f32]) {
        let classes = targets.len() / labels.len().max(1);
        assert_eq!(targets.len(), labels.len() * classes, "a row per label");
        let weight = |class: usize| self.weights.get(class).map_or(1.0, |&weight| f64::from(weight));
        let shares = |image: usize| shares(labels, mixed, image);
        let whole: f64 = (0..labels.len())
            .flat_map(shares)
            .map(|(class, share)| share * weight(class))
            .sum();
        let smoothing = f64::from(self.label_smoothing);
        let spread = smoothing / classes as f64;
        let mut row = vec![0.0; classes];
        for (image, out) in targets.chunks_exact_mut(classes).enumerate() {
            row.fill(spread);
            for (class, share) in shares(image) {
                row[class] += (1.0 - smoothing) * share;
            }
            for (class, (out, share)) in out.iter_mut().zip(&row).enumerate() {
                *out = (share * weight(class) / whole) as f32;
            }
        }
    }
}

/// The label distribution of an image: two classes with their weights, the second 0 if images are not mixed.
fn shares(labels: &[u32], mixed: Option<&[Mixed]>, image: usize) -> [(usize, f64); 2] {
    let label = labels[image] as usize;
    match mixed {
        None => [(label, 1.0), (label, 0.0)],
        Some(mixed) => {
            let part = f64::from(mixed[image].weight);
            [(label, 1.0 - part), (mixed[image].label as usize, part)]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn targets(loss: &Loss, labels: &[u32], mixed: Option<&[Mixed]>, classes: usize) -> Vec<f32> {
        let mut targets = vec![f32::NAN; labels.len() * classes];
        loss.targets(labels, mixed, &mut targets);
        targets
    }

    #[test]
    fn class_labels_give_one_hot_rows_divided_by_the_batch_size() {
        let found = targets(&Loss::default(), &[2, 0], None, 3);
        assert_eq!(found, [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn label_smoothing_spreads_weight_over_all_classes() {
        let loss = Loss {
            label_smoothing: 0.3,
            ..Loss::default()
        };
        let found = targets(&loss, &[1], None, 3);
        let close = found
            .iter()
            .zip([0.1, 0.8, 0.1])
            .all(|(found, expected): (&f32, f32)| (found - expected).abs() < 1e-7);
        assert!(close, "{found:?}");
    }

    #[test]
    fn class_weights_are_normalised_over_the_batch() {
        let loss = Loss {
            weights: vec![3.0, 1.0],
            ..Loss::default()
        };
        assert_eq!(targets(&loss, &[0, 1], None, 2), [0.75, 0.0, 0.0, 0.25]);
        assert_eq!(targets(&loss, &[1, 1], None, 2), [0.0, 0.5, 0.0, 0.5]);
    }

    #[test]
    fn mixed_labels_give_rows_with_two_classes() {
        let mixed = [(1, 0.25), (0, 0.5)].map(|(label, weight)| Mixed { label, weight });
        let found = targets(&Loss::default(), &[0, 0], Some(&mixed), 2);
        assert_eq!(found, [0.375, 0.125, 0.5, 0.0]);
    }

    proptest! {
        /// Makes gradient accumulation exact.
        #[test]
        fn targets_sum_to_one_without_class_weights(
            labels in prop::collection::vec(0_u32..4, 1..40),
            label_smoothing in 0.0_f32..0.9,
        ) {
            let loss = Loss { label_smoothing, ..Loss::default() };
            let sum: f32 = targets(&loss, &labels, None, 4).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
        }
    }
}

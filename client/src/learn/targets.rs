//! What labels mean for the loss: a share for each class, made here and not in the graph, so that one program serves every loss.

use serde::{Deserialize, Serialize};

use super::class_weights::ClassWeights;
use equibatch_stream::Mixed;

/// What is made small.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// ε: this much of each label is spread evenly over all classes.
    pub label_smoothing: f32,
    /// Which weights of the classes.
    pub class_weights: ClassWeights,
    /// Those, in label order; empty: every image counts the same.
    pub weights: Vec<f32>,
    /// γ of the focal loss; 0: the cross entropy.
    pub focal: f32,
}

impl Loss {
    /// Fills the targets of a batch.
    ///
    /// With `q` the shares that an image's label gives to the classes (one for its class, or parts for the two that are mixed), and `w`
    /// the weights of the classes, image `n` gets `w_k ((1 − ε) q_nk + ε / K) / W`, where `W`, the sum of `w_k q_nk` over the batch,
    /// makes the loss a mean. Parts of a batch have the targets that they have in the whole, so that their losses and gradients add up to
    /// its own.
    ///
    /// # Shapes
    ///
    /// `labels: [N]`, `targets: f32[N, K]`, flat.
    ///
    /// # Panics
    ///
    /// Where the lengths do not fit, or a label is no class.
    ///
    /// # Source
    ///
    /// Without weights: fastai's `LabelSmoothingCrossEntropy`, `ε/K · mean(−Σ ln p) + (1 − ε) · mean(−ln p_y)`, and the loss of its
    /// `mixup`. With weights: PyTorch's `cross_entropy` of class labels, smoothed or not. Mixed labels are divided by their weights as
    /// whole ones are, where PyTorch divides by the number of images.
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

/// How much of an image is of which class: two parts, one of them nothing where nothing is mixed.
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
    fn plain_labels_are_rows_with_a_single_share() {
        let found = targets(&Loss::default(), &[2, 0], None, 3);
        assert_eq!(found, [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn smoothing_spreads_a_part_over_all_classes() {
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
    fn weights_count_against_one_another() {
        let loss = Loss {
            weights: vec![3.0, 1.0],
            ..Loss::default()
        };
        assert_eq!(targets(&loss, &[0, 1], None, 2), [0.75, 0.0, 0.0, 0.25]);
        assert_eq!(targets(&loss, &[1, 1], None, 2), [0.0, 0.5, 0.0, 0.5]);
    }

    #[test]
    fn mixed_labels_share_a_row() {
        let mixed = [(1, 0.25), (0, 0.5)].map(|(label, weight)| Mixed { label, weight });
        let found = targets(&Loss::default(), &[0, 0], Some(&mixed), 2);
        assert_eq!(found, [0.375, 0.125, 0.5, 0.0]);
    }

    proptest! {
        /// What makes accumulation exact.
        #[test]
        fn targets_add_up_to_one_where_classes_count_the_same(
            labels in prop::collection::vec(0_u32..4, 1..40),
            label_smoothing in 0.0_f32..0.9,
        ) {
            let loss = Loss { label_smoothing, ..Loss::default() };
            let sum: f32 = targets(&loss, &labels, None, 4).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
        }
    }
}

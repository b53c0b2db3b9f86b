//! Targets of the loss: a weight per class and image, computed on the host so that one program serves every loss.

use std::{borrow::Cow, f64::consts::FRAC_PI_2};

use serde::{Deserialize, Serialize};

use super::{class_weights::ClassWeights, scheduled_draws::ScheduledDraws};
use equibatch_stream::{Mixed, StreamDescription};

/// Loss options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Label smoothing ε, 0 to 1; of the class with the most training images, if `tail_smoothing` is set.
    pub label_smoothing: f32,
    /// ε of the class with the fewest training images (label-aware smoothing, Zhong et al., 2021). Absent: that of all classes is the same.
    pub tail_smoothing: Option<f32>,
    /// ε of each class in label order; empty: the same for all.
    pub class_smoothing: Vec<f32>,
    /// Which class weights are used.
    pub class_weights: ClassWeights,
    /// Their values in label order; empty: unweighted.
    pub weights: Vec<f32>,
    /// First epoch, from 1, in which they are used (deferred re-weighting, Cao et al., 2019); 0: the first.
    pub weights_from: u32,
    /// τ of the logit-adjusted loss (Menon et al., 2021); 0: not adjusted, 1: balanced softmax.
    pub logit_adjust: f32,
    /// How often each class is drawn, if that changes by epoch and the loss is adjusted to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draws: Option<ScheduledDraws>,
    /// γ of the focal loss (Lin et al., 2017); 0: cross entropy.
    pub focal: f32,
    /// Margin of the class with the fewest training images, as a difference of cosines (label-distribution-aware margins, Cao et al., 2019); 0:
    /// no margins.
    pub ldam: f32,
    /// Margins of the logits in label order; empty: none.
    pub margins: Vec<f32>,
}

impl Loss {
    /// Sets the draws of a stream that changes them, if the loss is adjusted to them.
    pub fn resolve_draws(&mut self, stream: &StreamDescription) {
        self.draws = ScheduledDraws::of(stream).filter(|_| self.logit_adjust > 0.0);
    }

    /// Whether [`Self::margins_of`] returns margins.
    #[must_use]
    pub fn has_margins(&self) -> bool {
        !self.margins.is_empty() || self.draws.is_some()
    }

    /// Sets what follows from the number of training images of each class: smoothing and margins. `scale` is the factor of a cosine head, by which
    /// margins of cosines become those of logits.
    ///
    /// # Source
    ///
    /// Label-aware smoothing: `ε_K + (ε_1 − ε_K) sin(π (n − n_K) / 2(n_1 − n_K))` (`concave` in the code of Zhong et al., Improving Calibration for
    /// Long-Tailed Recognition, CVPR 2021), where ε_1 is of the largest class. Margins: `C / n^¼` (Cao et al., NeurIPS 2019), where C makes the
    /// largest one `ldam`.
    pub fn resolve(&mut self, images: &[u32], scale: f32) {
        let counts = || images.iter().map(|&images| f64::from(images.max(1)));
        let (least, most) = counts().fold((f64::MAX, 1.0), |(least, most), n| (n.min(least), n.max(most)));
        let head = f64::from(self.label_smoothing);
        let smoothing = self.tail_smoothing.map(f64::from).map(|tail| {
            let share = |n: f64| {
                if least < most {
                    (n - least) / (most - least)
                } else {
                    1.0
                }
            };
            let epsilon = |n| (tail + (head - tail) * (FRAC_PI_2 * share(n)).sin()) as f32;
            counts().map(epsilon).collect()
        });
        self.class_smoothing = smoothing.unwrap_or_default();
        let largest = f64::from(self.ldam) * f64::from(scale);
        let margin = |n: f64| (largest * (least / n).powf(0.25)) as f32;
        self.margins = if self.ldam > 0.0 {
            counts().map(margin).collect()
        } else {
            vec![]
        };
    }

    /// Why these options cannot be used together in a run of `epochs` epochs, if they cannot. `has_cosines` is whether the logits are cosines.
    #[must_use]
    pub fn conflict(&self, epochs: u32, has_cosines: bool) -> Option<String> {
        let has_margins = self.ldam > 0.0;
        let is_deferred = self.weights_from > 1;
        let refused = if has_margins && !has_cosines {
            "--ldam needs --head cosine: its margins are differences of cosines"
        } else if has_margins && self.focal > 0.0 {
            "--ldam and --focal are two losses: use one of them"
        } else if has_margins && self.logit_adjust > 0.0 {
            "--ldam and --logit-adjust both favour rare classes in the loss: use one of them"
        } else if is_deferred && self.class_weights == ClassWeights::None {
            "--class-weights-from needs --class-weights, such as effective:0.9999"
        } else if is_deferred && self.logit_adjust > 0.0 {
            "--class-weights-from cannot be used with --logit-adjust, which adjusts to the same class weights in all epochs"
        } else if self.weights_from > epochs {
            return Some(format!(
                "--class-weights-from {}: expected at most the {epochs} of --epochs",
                self.weights_from
            ));
        } else {
            return None;
        };
        Some(refused.to_owned())
    }

    /// The options of an epoch, from 1: without class weights if they are deferred.
    #[must_use]
    pub fn in_epoch(&self, epoch: u64) -> Cow<'_, Self> {
        if epoch >= u64::from(self.weights_from) || self.weights.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            weights: vec![],
            ..self.clone()
        })
    }

    /// What is subtracted from the logits of a batch of this epoch of the stream, from 0: the margin of its class at the label of each image and
    /// otherwise 0, or `−τ ln s` with the shares s of the epoch if they are scheduled; `None` if neither is.
    ///
    /// # Shapes
    ///
    /// `labels: [N] → f32[N, K]`, flat.
    ///
    /// # Panics
    ///
    /// If a label is not below `K`.
    #[must_use]
    pub fn margins_of(&self, labels: &[u32], epoch: u64) -> Option<Vec<f32>> {
        if let Some(draws) = &self.draws {
            let offsets = draws.loss_offsets(epoch, &self.weights, self.logit_adjust);
            let row: Vec<f32> = offsets.iter().map(|offset| -offset).collect();
            return Some(row.repeat(labels.len()));
        }
        let classes = self.margins.len();
        let mut all = vec![0.0; labels.len() * classes];
        for (row, &label) in all.chunks_exact_mut(classes.max(1)).zip(labels) {
            row[label as usize] = self.margins[label as usize];
        }
        (classes > 0).then_some(all)
    }

    /// Fills the targets of a batch.
    ///
    /// With `q` the label distribution of an image (one-hot, or two classes if images are mixed) and `w` the class weights, image `n` gets
    /// `w_k ((1 − ε) q_nk + ε / K) / W`, where `W`, the sum of `w_k q_nk` over the batch, makes the loss a mean. If ε differs by class, `ε / K` is its
    /// mean over `q_n`. Micro-batches use the `W` of the whole batch, so that their losses and gradients sum to those of the whole batch.
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
        let smoothing = |class: usize| {
            let own = self.class_smoothing.get(class);
            f64::from(*own.unwrap_or(&self.label_smoothing))
        };
        let mut row = vec![0.0; classes];
        for (image, out) in targets.chunks_exact_mut(classes).enumerate() {
            let spread = if self.class_smoothing.is_empty() {
                smoothing(0)
            } else {
                shares(image)
                    .map(|(class, share)| share * smoothing(class))
                    .iter()
                    .sum()
            };
            row.fill(spread / classes as f64);
            for (class, share) in shares(image) {
                row[class] += (1.0 - smoothing(class)) * share;
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
    use equibatch_stream::DrawsChange;

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

    #[test]
    fn smoothing_and_margins_follow_the_number_of_images() {
        let mut loss = Loss {
            label_smoothing: 0.4,
            tail_smoothing: Some(0.1),
            ldam: 0.5,
            ..Loss::default()
        };
        loss.resolve(&[16, 256, 136], 30.0);
        // Half-way from the smallest to the largest class: 0.1 + 0.3 sin(π/4).
        let expected = [0.1, 0.4, 0.1 + 0.3 * 0.5_f32.sqrt()];
        let is_close = |found: &[f32], expected: &[f32]| {
            found
                .iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() < 1e-6)
        };
        assert!(is_close(&loss.class_smoothing, &expected), "{loss:?}");
        // (16 / 256)^¼ = 1/2.
        assert!(
            is_close(&loss.margins, &[15.0, 7.5, 15.0 * (16.0_f32 / 136.0).powf(0.25)]),
            "{loss:?}"
        );
        loss.resolve(&[9, 9], 1.0);
        assert_eq!(
            (loss.class_smoothing, loss.margins),
            (vec![0.4, 0.4], vec![0.5, 0.5])
        );
    }

    #[test]
    fn deferred_class_weights_are_used_from_their_epoch_on() {
        let loss = Loss {
            weights: vec![3.0, 1.0],
            weights_from: 3,
            ..Loss::default()
        };
        let rows = |epoch| targets(&loss.in_epoch(epoch), &[0, 1], None, 2);
        assert_eq!(rows(2), [0.5, 0.0, 0.0, 0.5]);
        assert_eq!(rows(3), [0.75, 0.0, 0.0, 0.25]);
    }

    #[test]
    fn a_margin_is_at_the_label() {
        let loss = Loss {
            margins: vec![0.5, 2.0],
            ..Loss::default()
        };
        assert_eq!(loss.margins_of(&[1, 0], 0), Some(vec![0.0, 2.0, 0.5, 0.0]));
        assert_eq!(Loss::default().margins_of(&[1, 0], 0), None);
    }

    #[test]
    fn scheduled_shares_are_subtracted_from_each_row() {
        let draws = ScheduledDraws {
            draws_per_class: vec![4, 12],
            change: DrawsChange {
                draws_per_class: vec![8, 8],
                first_epoch: 0,
                last_epoch: 2,
            },
            background: None,
        };
        let loss = Loss {
            logit_adjust: 1.0,
            draws: Some(draws),
            ..Loss::default()
        };
        let row = [-(6.0_f32 / 16.0).ln(), -(10.0_f32 / 16.0).ln()];
        assert_eq!(loss.margins_of(&[1, 0, 1], 1), Some(row.repeat(3)));
    }

    #[test]
    fn options_that_correct_twice_or_do_nothing_are_refused() {
        let margins = Loss {
            ldam: 0.5,
            ..Loss::default()
        };
        let deferred = Loss {
            weights_from: 3,
            ..Loss::default()
        };
        let weighted = Loss {
            class_weights: ClassWeights::Inverse,
            ..deferred.clone()
        };
        let (focal, logit_adjust) = (2.0, 1.0);
        for (loss, has_cosines, words) in [
            (margins.clone(), false, "--head cosine"),
            (
                Loss {
                    focal,
                    ..margins.clone()
                },
                true,
                "--focal",
            ),
            (
                Loss {
                    logit_adjust,
                    ..margins.clone()
                },
                true,
                "--logit-adjust",
            ),
            (deferred, true, "needs --class-weights"),
            (
                Loss {
                    logit_adjust,
                    ..weighted.clone()
                },
                true,
                "--logit-adjust",
            ),
            (
                Loss {
                    weights_from: 5,
                    ..weighted.clone()
                },
                true,
                "at most the 4",
            ),
        ] {
            let reason = loss.conflict(4, has_cosines).expect("a conflict");
            assert!(reason.contains(words), "{reason}");
        }
        assert!(margins.conflict(4, true).is_none() && weighted.conflict(4, false).is_none());
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

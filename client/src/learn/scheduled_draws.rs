//! Class shares that change by epoch, for a loss that is adjusted to them.

use equibatch_stream::{Background, DrawsChange, StreamDescription};
use serde::{Deserialize, Serialize};

use super::prior::ClassShares;

/// Draws of each class by epoch of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledDraws {
    /// In label order, before the change.
    pub draws_per_class: Vec<u64>,
    /// What changes them.
    pub change: DrawsChange,
    /// The natural images that these are mixed into, if the recipe mixes `from=natural`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
}

impl ScheduledDraws {
    /// Those of a stream; `None` if they do not change.
    #[must_use]
    pub fn of(stream: &StreamDescription) -> Option<Self> {
        Some(Self {
            draws_per_class: stream.draws_per_class.clone(),
            change: stream.draws_change.clone()?,
            background: stream.background.clone(),
        })
    }

    /// [`ClassShares::loss_offsets`] of an epoch of the stream, from 0, with these class weights (empty: none).
    #[must_use]
    pub fn loss_offsets(&self, epoch: u64, weights: &[f32], tau: f32) -> Vec<f32> {
        let draws = self.change.draws_in_epoch(&self.draws_per_class, epoch);
        let label_weights = Background::label_weights_of(self.background.as_ref(), &draws);
        ClassShares::of(vec![], &label_weights, weights, tau).loss_offsets(tau)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(epochs: (u32, u32), weights: &[f32], epoch: u64, shares: [f32; 2]) {
        check_mixed(None, epochs, weights, epoch, shares);
    }

    fn check_mixed(
        background: Option<Background>,
        (first_epoch, last_epoch): (u32, u32),
        weights: &[f32],
        epoch: u64,
        shares: [f32; 2],
    ) {
        let draws = ScheduledDraws {
            draws_per_class: vec![4, 12],
            change: DrawsChange {
                draws_per_class: vec![8, 8],
                first_epoch,
                last_epoch,
            },
            background,
        };
        for (found, share) in draws.loss_offsets(epoch, weights, 2.0).iter().zip(shares) {
            assert!(
                (found - 2.0 * share.ln()).abs() < 1e-6,
                "epoch {epoch}: {found} {share}"
            );
        }
    }

    /// Natural in epochs 0 to 3, then balanced.
    #[test]
    fn a_deferred_stream_is_adjusted_in_full_and_then_not_at_all() {
        for epoch in [0, 3] {
            check((3, 4), &[], epoch, [0.25, 0.75]);
        }
        for epoch in [4, 9] {
            check((3, 4), &[], epoch, [0.5, 0.5]);
        }
    }

    /// Over epochs 2 to 6, each with a draw more of the rare class.
    #[test]
    fn a_progressive_stream_is_adjusted_less_in_each_epoch() {
        for (epoch, draws) in [
            (2, [4.0, 12.0]),
            (3, [5.0, 11.0]),
            (5, [7.0, 9.0]),
            (6, [8.0, 8.0]),
        ] {
            check((2, 6), &[], epoch, draws.map(|draws| draws / 16.0));
        }
    }

    #[test]
    fn class_weights_count_as_draws() {
        check((3, 4), &[3.0, 1.0], 0, [0.5, 0.5]);
        check((3, 4), &[3.0, 1.0], 4, [0.75, 0.25]);
    }

    /// A quarter of the label weights is that of the balance.
    #[test]
    fn shares_of_natural_images_with_others_mixed_in_are_of_both() {
        let background = Background {
            draws_per_class: vec![4, 12],
            mean_mixed_weight: 0.25,
        };
        check_mixed(Some(background.clone()), (3, 4), &[], 0, [0.25, 0.75]);
        check_mixed(Some(background), (3, 4), &[], 4, [5.0 / 16.0, 11.0 / 16.0]);
    }
}

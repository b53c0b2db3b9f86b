//! Checkpoint retention and early stopping: decisions as data, made from metrics alone.

use std::{fmt, num::NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::learn::metrics::{Metric, Metrics};

/// Which checkpoints to keep besides the last, and when to stop early.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Keep the best epoch's model and checkpoint, by this metric.
    pub save_best: Option<Metric>,
    /// Stop after this many consecutive epochs without improvement of the same metric, by default the loss.
    pub early_stopping: Option<u32>,
    /// Keep the checkpoints of this many last epochs.
    pub keep_checkpoints: u32,
    /// Also save a checkpoint every this many steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<NonZeroU64>,
}

/// Best epoch so far and epochs since. Part of a checkpoint, so that a resumed run decides like an uninterrupted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Best value so far and its epoch, from 1.
    pub best: Option<(f64, u32)>,
    /// Epochs since the best one.
    pub epochs_since: u32,
    /// Whether the run stopped early.
    pub stopped: bool,
}

/// What to do after an epoch, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyAction {
    /// Save this epoch's model and checkpoint as the best.
    SaveBest,
    /// Keep this epoch's checkpoint.
    Keep {
        /// From 1.
        epoch: u32,
    },
    /// Delete the checkpoint of an earlier epoch.
    Drop {
        /// From 1.
        epoch: u32,
    },
    /// Stop early.
    Stop,
}

impl Policy {
    /// The metric by which epochs are compared.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.save_best.clone().unwrap_or(Metric::Loss)
    }

    /// The actions after epoch number `epoch`, from 1, with these validation metrics. An epoch without metrics, or with a NaN metric, is
    /// not an improvement.
    pub fn after_epoch(
        &self,
        policy_state: &mut PolicyState,
        epoch: u32,
        metrics: Option<&Metrics>,
    ) -> Vec<PolicyAction> {
        let mut actions = vec![];
        let value = metrics.and_then(|metrics| self.metric().of(metrics));
        match value.filter(|value| self.is_better(*value, policy_state.best)) {
            Some(value) => {
                policy_state.best = Some((value, epoch));
                policy_state.epochs_since = 0;
                if self.save_best.is_some() {
                    actions.push(PolicyAction::SaveBest);
                }
            }
            None => policy_state.epochs_since += 1,
        }
        if self.keep_checkpoints > 0 {
            actions.push(PolicyAction::Keep { epoch });
            let gone = epoch
                .checked_sub(self.keep_checkpoints)
                .filter(|epoch| *epoch > 0);
            actions.extend(gone.map(|epoch| PolicyAction::Drop { epoch }));
        }
        if self
            .early_stopping
            .is_some_and(|patience| policy_state.epochs_since >= patience)
        {
            policy_state.stopped = true;
            actions.push(PolicyAction::Stop);
        }
        actions
    }

    fn is_better(&self, value: f64, best: Option<(f64, u32)>) -> bool {
        let Some((best, _)) = best else {
            return !value.is_nan();
        };
        if self.metric().is_higher_better() {
            value > best
        } else {
            value < best
        }
    }
}

impl fmt::Display for Policy {
    /// Formats as command-line flags.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let best = self
            .save_best
            .iter()
            .map(|metric| format!("--save-best {metric}"));
        let patience = self
            .early_stopping
            .iter()
            .map(|epochs| format!("--early-stopping {epochs}"));
        let kept =
            (self.keep_checkpoints > 0).then(|| format!("--keep-checkpoints {}", self.keep_checkpoints));
        f.write_str(&best.chain(patience).chain(kept).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::MetricAccumulator;

    fn metrics(loss: f64, accuracy: f64) -> Metrics {
        Metrics {
            images: 1,
            loss,
            accuracy: Some(accuracy),
            ..MetricAccumulator::new(2).metrics(&["birds", "flowers"].map(str::to_owned))
        }
    }

    /// The actions after each of these epochs.
    fn decide(policy: &Policy, epochs: &[Option<Metrics>]) -> (Vec<Vec<PolicyAction>>, PolicyState) {
        let mut policy_state = PolicyState::default();
        let actions = (1..)
            .zip(epochs)
            .map(|(epoch, metrics)| policy.after_epoch(&mut policy_state, epoch, metrics.as_ref()));
        (actions.collect(), policy_state)
    }

    #[test]
    fn the_best_epoch_is_kept_for_metrics_to_minimise_and_to_maximise() {
        let epochs = [(0.9, 0.5), (0.7, 0.4), (0.8, 0.6), (0.7, 0.6)]
            .map(|(loss, accuracy)| Some(metrics(loss, accuracy)));
        let best = |metric: Metric| {
            let policy = Policy {
                save_best: Some(metric),
                ..Policy::default()
            };
            let (actions, policy_state) = decide(&policy, &epochs);
            (
                actions
                    .iter()
                    .map(|actions| !actions.is_empty())
                    .collect::<Vec<_>>(),
                policy_state.best,
            )
        };
        assert_eq!(
            best(Metric::Loss),
            (vec![true, true, false, false], Some((0.7, 2)))
        );
        assert_eq!(
            best(Metric::Accuracy),
            (vec![true, false, true, false], Some((0.6, 3)))
        );
    }

    #[test]
    fn training_stops_after_the_patience_without_improvement() {
        let policy = Policy {
            early_stopping: Some(2),
            ..Policy::default()
        };
        let losses = [0.9, 0.8, 0.8, f64::NAN, 0.1].map(|loss| Some(metrics(loss, 0.5)));
        let (actions, policy_state) = decide(&policy, &losses[..4]);
        assert_eq!(actions, [vec![], vec![], vec![], vec![PolicyAction::Stop]]);
        assert!(policy_state.stopped && policy_state.epochs_since == 2);
        let (actions, _) = decide(
            &policy,
            &[
                losses[0].clone(),
                losses[2].clone(),
                losses[3].clone(),
                losses[4].clone(),
            ],
        );
        assert_eq!(actions.concat(), []);
    }

    #[test]
    fn a_nan_metric_is_never_the_best() {
        let policy = Policy {
            save_best: Some(Metric::Loss),
            ..Policy::default()
        };
        let (actions, policy_state) = decide(
            &policy,
            &[Some(metrics(f64::NAN, 0.5)), None, Some(metrics(3.0, 0.5))],
        );
        assert_eq!(actions, [vec![], vec![], vec![PolicyAction::SaveBest]]);
        assert_eq!(policy_state.best, Some((3.0, 3)));
    }

    #[test]
    fn the_last_checkpoints_are_kept_and_older_ones_deleted() {
        let policy = Policy {
            keep_checkpoints: 2,
            ..Policy::default()
        };
        let (actions, _) = decide(&policy, &[None, None, None]);
        let keep = |epoch| PolicyAction::Keep { epoch };
        assert_eq!(
            actions,
            [
                vec![keep(1)],
                vec![keep(2)],
                vec![keep(3), PolicyAction::Drop { epoch: 1 }]
            ]
        );
    }
}

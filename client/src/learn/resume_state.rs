//! What a run needs to resume, besides tensors.

use equibatch_stream::Position;
use serde::{Deserialize, Serialize};

use super::{
    fit::{epoch::EpochSums, policy::PolicyState},
    grad_scaler::GradScaler,
    membership::Membership,
    metrics::SmoothedLoss,
    run::RunConfig,
};

/// Incremented when the meaning of the JSON or of the tensors changes.
pub(super) const FORMAT: u32 = 1;

/// What a run needs to resume, besides tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResumeState {
    /// See `FORMAT`.
    pub(super) format: u32,
    /// The run's configuration.
    pub config: RunConfig,
    /// Steps done, over all epochs.
    pub steps: u64,
    /// Steps that the optimizer skipped because a gradient was not finite.
    #[serde(default)]
    pub skipped_steps: u64,
    /// The loss scale of the next step, if the loss is scaled.
    #[serde(default)]
    pub loss_scale: GradScaler,
    /// Position after the last batch. Absent before the first batch.
    pub position: Option<Position>,
    /// The smoothed training loss.
    pub smoothed_loss: SmoothedLoss,
    /// Sums over the steps of the current epoch.
    #[serde(default)]
    pub(super) epoch: EpochSums,
    /// State of the checkpoint and early-stopping policy.
    #[serde(default, rename = "standing")]
    pub policy_state: PolicyState,
    /// The split of each image when the run began.
    #[serde(default)]
    pub images: Membership,
}

impl ResumeState {
    /// The state before the first step.
    #[must_use]
    pub fn new(config: RunConfig) -> Self {
        Self {
            format: FORMAT,
            config,
            steps: 0,
            skipped_steps: 0,
            loss_scale: GradScaler::default(),
            position: None,
            smoothed_loss: SmoothedLoss::default(),
            epoch: EpochSums::default(),
            policy_state: PolicyState::default(),
            images: Membership::default(),
        }
    }

    /// Start position of the stream: after the last batch, or after all epochs of the previous stages.
    #[must_use]
    pub fn start_position(&self) -> Position {
        self.position.clone().unwrap_or_else(|| Position {
            fingerprint: self.config.fingerprint.clone(),
            seed: self.config.seed,
            epoch: self.config.lineage.epochs.into(),
            world: 1,
            ..Position::default()
        })
    }

    /// Number of optimizer steps among the first `steps` steps: those not skipped.
    #[must_use]
    pub fn optimizer_steps(&self, steps: u64) -> u64 {
        steps.saturating_sub(self.skipped_steps)
    }

    /// The loss scale of the next step; `None` if the loss is not scaled.
    #[must_use]
    pub fn loss_scale_in_use(&self) -> Option<f32> {
        let is_scaled = self.config.precision.is_scaled();
        is_scaled.then(|| self.loss_scale.factor())
    }

    /// Whether all steps of an epoch are done but not its evaluation, because the server failed or the process was killed.
    #[must_use]
    pub fn awaits_evaluation(&self) -> bool {
        !self.epoch.is_empty() && self.steps.is_multiple_of(self.config.steps_per_epoch.max(1))
    }

    /// Whether the run is complete: all steps and evaluations are done, or it stopped early.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.policy_state.stopped || self.steps >= self.config.total_steps() && !self.awaits_evaluation()
    }

    /// Number of epochs that are done and evaluated.
    #[must_use]
    pub fn epochs_closed(&self) -> u64 {
        self.steps / self.config.steps_per_epoch.max(1) - u64::from(self.awaits_evaluation())
    }

    /// Epochs that have begun.
    #[must_use]
    pub fn epochs_begun(&self) -> u32 {
        let begun = self.steps.div_ceil(self.config.steps_per_epoch.max(1));
        u32::try_from(begun).unwrap_or(u32::MAX)
    }
}

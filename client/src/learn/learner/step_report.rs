use equibatch_training::{program::LayerGroup, trainer::StepOutput};

/// Result of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Loss of the batch.
    pub loss: f64,
    /// Largest learning rate of all layer groups.
    pub learning_rate: f64,
    /// Gradient norm before clipping; absent without clipping or if the step was skipped.
    pub gradient_norm: Option<f64>,
    /// Loss scale; absent if the loss is not scaled.
    pub loss_scale: Option<f32>,
    /// Whether the step was skipped because a gradient was not finite. Only with loss scaling; otherwise the run fails.
    pub is_skipped: bool,
    /// Learning rate of each layer group.
    pub rates: [f64; LayerGroup::ALL.len()],
    /// Momentum (Adam's β₁); 0 for an optimizer without.
    pub momentum: f64,
}

impl StepReport {
    /// Of a step with these hyperparameters, of which momentum (β₁ or μ) is the first if there is one, and learning rates.
    pub(super) fn new(
        stepped: &StepOutput,
        loss_scale: Option<f32>,
        hyper: &[(&'static str, f64)],
        rates: &[f64],
    ) -> Self {
        Self {
            loss: stepped.loss,
            learning_rate: rates.iter().copied().fold(0.0, f64::max),
            gradient_norm: stepped.gradient_norm,
            loss_scale,
            is_skipped: !stepped.are_finite,
            rates: std::array::from_fn(|group| rates.get(group).copied().unwrap_or(0.0)),
            momentum: hyper.first().map_or(0.0, |&(_, momentum)| momentum),
        }
    }
}

use equibatch_training::program::LayerGroup;

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

use super::{GroupScalars, Optimizer, UpdateInputs, Updated};
use crate::graph::{Error, Graph};

/// Stochastic gradient descent with momentum.
///
/// ```text
/// g ← g + wd·p          b ← μ·b + g
/// p ← p − lr·b          or, with Nesterov's momentum,  p ← p − lr·(g + μ·b)
/// ```
///
/// The buffer b is initially zero, so after the first step it is the gradient. A schedule's momentum replaces μ, unless μ is 0, in which case there
/// is no buffer.
///
/// # Source
/// PyTorch's `SGD` with dampening 0. Weight decay is coupled: it is added to the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// μ, from 0 to below 1.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// wd.
    pub weight_decay: f32,
}

impl Sgd {
    /// Names of the momentum buffer.
    pub const SLOTS: [&str; 1] = ["momentum_buffer"];

    /// Sets μ.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Uses Nesterov's momentum.
    #[must_use]
    pub fn nesterov(self) -> Self {
        Self {
            nesterov: true,
            ..self
        }
    }

    /// Sets the weight decay.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f32) -> Self {
        Self { weight_decay, ..self }
    }
}

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &Self::SLOTS }
    }

    fn hyperparameters(&self, _: u64, momentum: Option<f64>) -> Vec<(&'static str, f64)> {
        if self.momentum == 0.0 {
            return vec![];
        }
        vec![("momentum", momentum.unwrap_or(self.momentum))]
    }

    fn weight_decay(&self) -> f32 {
        self.weight_decay
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn emit(
        &self,
        g: &mut Graph,
        group: &GroupScalars,
        parameters: &[UpdateInputs],
    ) -> Result<Vec<Updated>, Error> {
        let update = |inputs: &UpdateInputs| {
            g.scoped(&inputs.scope, |g| {
                let mut gradient = inputs.gradient;
                if group.weight_decay != 0.0 {
                    let weight_decay = g.scalar(group.weight_decay);
                    let decay = g.mul(inputs.parameter, weight_decay)?;
                    gradient = g.add(gradient, decay)?;
                }
                let (mut direction, mut slots) = (gradient, vec![]);
                if let (&[momentum], &[buffer]) = (&*group.hyperparameters, &*inputs.slots) {
                    let kept = g.mul(buffer, momentum)?;
                    let next = g.add(kept, gradient)?;
                    direction = next;
                    if self.nesterov {
                        let ahead = g.mul(next, momentum)?;
                        direction = g.add(gradient, ahead)?;
                    }
                    slots.push(next);
                }
                let step = g.mul(direction, group.learning_rate)?;
                let parameter = g.sub(inputs.parameter, step)?;
                Ok(Updated { parameter, slots })
            })
        };
        parameters.iter().map(update).collect()
    }
}

use crate::graph::{Composite, Error, Graph, Op, Value, op};

/// Adam with decoupled weight decay.
///
/// ```text
/// p ← p·(1 − lr·wd)
/// m ← β₁·m + (1 − β₁)·g          v ← β₂·v + (1 − β₂)·g²
/// p ← p − lr/c₁ · m / (√v/√c₂ + ε)      with  c₁ = 1 − β₁ᵗ,  c₂ = 1 − β₂ᵗ
/// ```
///
/// β₁ follows the schedule, and c₁ is computed from its current value. β₁, c₁, c₂ and the learning rates are inputs of the graph.
///
/// # Source
/// fastai's `OptimWrapper` with `true_wd` over PyTorch's `Adam`: weight decay applies to all trained parameters, including batch norms and
/// biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
    /// wd, per unit of learning rate.
    pub weight_decay: f32,
}

impl Default for AdamW {
    /// fastai's defaults: β₂ 0.99, ε 1e-8, weight decay 0.01.
    fn default() -> Self {
        Self {
            beta2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// Scheduled scalars shared by all parameters.
#[derive(Clone, Copy, Debug)]
pub struct SharedScalars {
    beta1: Value,
    one_minus_beta1: Value,
    bias_correction1: Value,
    /// 1/√c₂.
    scale2: Value,
}

/// Scalars shared by the parameters of a layer group, derived from its learning rate.
#[derive(Clone, Copy, Debug)]
pub struct GroupScalars {
    /// `1 − lr·wd`.
    decay: Value,
    /// `lr/c₁`.
    step: Value,
}

/// Exponential moving averages of the gradient and of its square.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// m.
    pub first: Value,
    /// v.
    pub second: Value,
}

/// Inputs of a parameter's update.
#[derive(Clone, Copy, Debug)]
pub struct UpdateInputs {
    /// p.
    pub parameter: Value,
    /// g.
    pub gradient: Value,
    /// m and v.
    pub moments: Moments,
}

impl AdamW {
    /// Derives the shared scalars from `beta1`, `bias_correction1` (c₁) and `bias_correction2` (c₂), each `f32[]`.
    ///
    /// # Errors
    /// [`Error::Wiring`] if one of them is not a float.
    pub fn schedule(
        &self,
        g: &mut Graph,
        beta1: Value,
        bias_correction1: Value,
        bias_correction2: Value,
    ) -> Result<SharedScalars, Error> {
        let one = g.scalar(1.0);
        let one_minus_beta1 = g.sub(one, beta1)?;
        let root = g.sqrt(bias_correction2)?;
        let scale2 = g.reciprocal(root)?;
        Ok(SharedScalars {
            beta1,
            one_minus_beta1,
            bias_correction1,
            scale2,
        })
    }

    /// Derives a layer group's scalars from its learning rate, `f32[]`.
    ///
    /// # Errors
    /// [`Error::Wiring`] if it is not a float.
    pub fn rate(
        &self,
        g: &mut Graph,
        schedule: &SharedScalars,
        learning_rate: Value,
    ) -> Result<GroupScalars, Error> {
        let (one, weight_decay) = (g.scalar(1.0), g.scalar(self.weight_decay));
        let lost = g.mul(learning_rate, weight_decay)?;
        let decay = g.sub(one, lost)?;
        let step = g.div(learning_rate, schedule.bias_correction1)?;
        Ok(GroupScalars { decay, step })
    }

    /// Adds the update of a parameter and returns the next parameter and moments.
    ///
    /// # Shapes
    /// Parameter, gradient and moments have the same shape.
    ///
    /// # Errors
    /// [`Error::Wiring`] if their shapes differ.
    pub fn update(
        &self,
        g: &mut Graph,
        (schedule, rate): (&SharedScalars, &GroupScalars),
        UpdateInputs {
            parameter,
            gradient,
            moments,
        }: UpdateInputs,
    ) -> Result<(Value, Moments), Error> {
        let operands = [
            parameter,
            gradient,
            moments.first,
            moments.second,
            schedule.beta1,
            schedule.one_minus_beta1,
            schedule.scale2,
            rate.decay,
            rate.step,
        ];
        let attributes = op::AdamW {
            beta2: self.beta2,
            epsilon: self.epsilon,
        };
        let update = Op::Composite(Composite::AdamW(attributes));
        let [next, first, second] = g.several(update, &operands)?;
        Ok((next, Moments { first, second }))
    }
}

use super::{GroupScalars, Optimizer, UpdateInputs, Updated};
use crate::graph::{Composite, Error, Graph, Op, op};

/// Adam with decoupled weight decay.
///
/// ```text
/// p ← p·(1 − lr·wd)
/// m ← β₁·m + (1 − β₁)·g          v ← β₂·v + (1 − β₂)·g²
/// p ← p − lr/c₁ · m / (√v/√c₂ + ε)      with  c₁ = 1 − β₁ᵗ,  c₂ = 1 − β₂ᵗ
/// ```
///
/// A schedule's momentum replaces β₁, and c₁ is computed from its current value (not as `1 − Πβ₁` over all steps).
///
/// # Source
/// PyTorch's `AdamW`; with a schedule, fastai's `OptimWrapper` with `true_wd` over PyTorch's `Adam`, whose β₁ the one-cycle schedule sets before
/// every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₁ and β₂.
    pub betas: [f64; 2],
    /// ε.
    pub epsilon: f32,
    /// wd, per unit of learning rate.
    pub weight_decay: f32,
}

impl Default for AdamW {
    /// PyTorch's defaults: β 0.9 and 0.999, ε 1e-8, weight decay 0.01.
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

impl AdamW {
    /// Names of the moments m and v.
    pub const SLOTS: [&str; 2] = ["first_moment", "second_moment"];

    /// fastai's defaults: as PyTorch's, with β₂ 0.99.
    #[must_use]
    pub fn fastai() -> Self {
        Self::default().betas(0.9, 0.99)
    }

    /// Sets β₁ and β₂, from 0 to below 1.
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self {
            betas: [beta1, beta2],
            ..self
        }
    }

    /// Sets the weight decay.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f32) -> Self {
        Self { weight_decay, ..self }
    }
}

impl Optimizer for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn slots(&self) -> &'static [&'static str] {
        &Self::SLOTS
    }

    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
    fn hyperparameters(&self, t: u64, momentum: Option<f64>) -> Vec<(&'static str, f64)> {
        let [beta1, beta2] = self.betas;
        let beta1 = momentum.unwrap_or(beta1);
        // β₂ is a constant of the program, in single precision.
        let beta2 = f64::from(beta2 as f32);
        let correction = |beta: f64| 1.0 - beta.powf(t as f64);
        vec![
            ("beta1", beta1),
            ("bias_correction1", correction(beta1)),
            ("bias_correction2", correction(beta2)),
        ]
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
        let (beta1, correction1, correction2) = match *group.hyperparameters {
            [beta1, correction1, correction2] => (beta1, correction1, correction2),
            _ => unreachable!("the hyperparameters are those of this optimizer"),
        };
        let [one_minus_beta1, scale2, decay, step] = g.scoped(self.name(), |g| {
            let (one, weight_decay) = (g.scalar(1.0), g.scalar(group.weight_decay));
            let root = g.sqrt(correction2)?;
            let lost = g.mul(group.learning_rate, weight_decay)?;
            Ok([
                g.sub(one, beta1)?,
                g.reciprocal(root)?,
                g.sub(one, lost)?,
                g.div(group.learning_rate, correction1)?,
            ])
        })?;
        let attributes = op::AdamW {
            beta2: self.betas[1] as f32,
            epsilon: self.epsilon,
        };
        let update = |inputs: &UpdateInputs| {
            let [first, second] = [0, 1].map(|slot| inputs.slots[slot]);
            let tensors = [inputs.parameter, inputs.gradient, first, second];
            let scalars = [beta1, one_minus_beta1, scale2, decay, step];
            let operands = [&tensors[..], &scalars].concat();
            let op = Op::Composite(Composite::AdamW(attributes));
            let [parameter, first, second] = g.scoped(&inputs.scope, |g| g.several(op, &operands))?;
            Ok(Updated {
                parameter,
                slots: vec![first, second],
            })
        };
        parameters.iter().map(update).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::OneCycle;

    #[test]
    fn bias_corrections_use_the_current_momentum() {
        let found = AdamW::fastai().hyperparameters(2, Some(0.85));
        let [beta1, first, second] = *found else {
            panic!("{found:?}")
        };
        assert_eq!(beta1, ("beta1", 0.85));
        assert!((first.1 - (1.0 - 0.85 * 0.85)).abs() < 1e-15);
        assert!((second.1 - (1.0 - 0.99_f64.powi(2))).abs() < 1e-7);
        assert_eq!(AdamW::default().hyperparameters(1, None)[0].1, 0.9);
    }

    /// With a constant gradient `g`, a step is `lr · (1 − Πβ₁) / (1 − β₁ᵗ)` times the sign of `g`. With a scheduled β₁ the bias correction is
    /// inexact; this test fails for an implementation that corrects by the product Πβ₁.
    #[test]
    fn a_scheduled_momentum_is_corrected_as_the_reference_does() {
        let (cycle, adamw, rate) = (OneCycle::new(100), AdamW::fastai(), 3e-3);
        let beta2 = f64::from(adamw.betas[1] as f32);
        let (mut first, mut second, mut moved) = (0.0, 0.0, 0.0);
        for step in 0..100 {
            let setting = cycle.at(step);
            let hyper = adamw.hyperparameters(step + 1, Some(setting.momentum));
            let [beta1, correction1, correction2] = [0, 1, 2].map(|at| hyper[at].1);
            first = beta1 * first + (1.0 - beta1);
            second = beta2 * second + (1.0 - beta2);
            let root = (second / correction2).sqrt() + 1e-8;
            moved += rate * setting.rate / correction1 * first / root;
        }
        // Computed from the formulas in Python, in double precision; correcting by the product gives 0.15186.
        assert!((moved - 0.146_780_911).abs() < 1e-8, "{moved}");
    }
}

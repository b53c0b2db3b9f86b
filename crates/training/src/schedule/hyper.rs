/// Hyperparameters of one optimizer step.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyper {
    /// Adam's β₁.
    pub beta1: f64,
    /// `1 − β₁ᵗ` with the current β₁ (not `1 − Πβ₁` over all steps).
    pub bias_correction1: f64,
    /// `1 − β₂ᵗ`.
    pub bias_correction2: f64,
    /// One learning rate per layer group.
    pub learning_rates: Vec<f64>,
}

impl Hyper {
    /// The hyperparameters of optimizer step `t`, counted from 1.
    ///
    /// # Source
    /// PyTorch's `Adam`, whose β₁ fastai's one-cycle schedule sets before every step.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
    pub fn new(t: u64, [beta1, beta2]: [f64; 2], learning_rates: Vec<f64>) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(t as f64);
        Self {
            beta1,
            bias_correction1: correction(beta1),
            bias_correction2: correction(beta2),
            learning_rates,
        }
    }

    /// The largest learning rate of all layer groups.
    #[must_use]
    pub fn largest_rate(&self) -> f64 {
        self.learning_rates.iter().copied().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::OneCycle;

    #[test]
    fn bias_corrections_use_the_current_momentum() {
        let hyper = Hyper::new(2, [0.85, 0.99], vec![1e-4, 1e-3]);
        assert!((hyper.bias_correction1 - (1.0 - 0.85 * 0.85)).abs() < 1e-15);
        assert!((hyper.bias_correction2 - (1.0 - 0.99 * 0.99)).abs() < 1e-15);
        assert_eq!(hyper.largest_rate(), 1e-3);
    }

    /// With a constant gradient `g`, a step is `lr · (1 − Πβ₁) / (1 − β₁ᵗ)` times the sign of `g`. With a scheduled β₁ the bias correction is
    /// inexact; this test fails for an implementation that corrects by the product Πβ₁.
    #[test]
    fn a_scheduled_momentum_is_corrected_as_the_reference_does() {
        let (cycle, beta2, rate) = (OneCycle::new(100), 0.99, 3e-3);
        let (mut first, mut second, mut moved) = (0.0, 0.0, 0.0);
        for step in 0..100 {
            let setting = cycle.at(step);
            let hyper = Hyper::new(step + 1, [setting.momentum, beta2], vec![rate * setting.rate]);
            first = hyper.beta1 * first + (1.0 - hyper.beta1);
            second = beta2 * second + (1.0 - beta2);
            let root = (second / hyper.bias_correction2).sqrt() + 1e-8;
            moved += hyper.learning_rates[0] / hyper.bias_correction1 * first / root;
        }
        // Computed from the formulas in Python, in double precision; correcting by the product gives 0.15186.
        assert!((moved - 0.146_780_911).abs() < 1e-8, "{moved}");
    }
}

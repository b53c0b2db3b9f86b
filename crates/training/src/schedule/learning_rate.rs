use super::one_cycle::{OneCycle, half_cosine};

/// Factor of the learning rate at the first step of a warm-up, as in torchvision's training references.
const WARMUP_START: f64 = 0.01;

/// A learning rate as a function of the step, counted from zero.
///
/// ```
/// use equibatch_training::schedule::Schedule;
///
/// let schedule = Schedule::cosine(10_000).warmup(500).max_lr(3e-4);
/// assert_eq!(schedule.at(500), 3e-4);
/// assert!(schedule.at(9_999) < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    shape: Shape,
    warmup: u64,
    max_lr: f64,
}

/// What follows the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Constant,
    Cosine { steps: u64, end: f64 },
    Step { size: u64, gamma: f64 },
    OneCycle(OneCycle),
}

impl Schedule {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            warmup: 0,
            max_lr: 1e-3,
        }
    }

    /// The same learning rate at every step.
    #[must_use]
    pub fn constant() -> Self {
        Self::new(Shape::Constant)
    }

    /// Half a cosine from the maximum to [`Self::end_factor`] over `steps` steps, of which the warm-up is a part.
    ///
    /// # Source
    /// PyTorch's `CosineAnnealingLR` (Loshchilov and Hutter, SGDR, ICLR 2017, without restarts).
    #[must_use]
    pub fn cosine(steps: u64) -> Self {
        Self::new(Shape::Cosine { steps, end: 0.0 })
    }

    /// The learning rate is multiplied by `gamma` after every `size` steps.
    ///
    /// # Source
    /// PyTorch's `StepLR`.
    #[must_use]
    pub fn step(size: u64, gamma: f64) -> Self {
        Self::new(Shape::Step { size, gamma })
    }

    /// fastai's one-cycle schedule over `steps` steps; see [`OneCycle`].
    #[must_use]
    pub fn one_cycle(steps: u64) -> Self {
        Self::new(Shape::OneCycle(OneCycle::new(steps)))
    }

    /// The maximum learning rate. The default is 1e-3.
    #[must_use]
    pub fn max_lr(self, max_lr: f64) -> Self {
        Self { max_lr, ..self }
    }

    /// A linear rise from 1/100 of the maximum over the first `steps` steps, which precedes the schedule.
    ///
    /// # Source
    /// PyTorch's `LinearLR` with `start_factor=0.01`, followed by the schedule as in `SequentialLR`.
    #[must_use]
    pub fn warmup(self, steps: u64) -> Self {
        Self {
            warmup: steps,
            ..self
        }
    }

    /// The last learning rate of [`Self::cosine`] as a fraction of the maximum (`eta_min / lr`). The default is 0. No other schedule has one.
    #[must_use]
    pub fn end_factor(mut self, factor: f64) -> Self {
        if let Shape::Cosine { end, .. } = &mut self.shape {
            *end = factor;
        }
        self
    }

    /// The learning rate of a step. Steps after the end have the last one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            let progress = step as f64 / self.warmup as f64;
            return self.max_lr * (WARMUP_START + (1.0 - WARMUP_START) * progress);
        }
        let step = step - self.warmup;
        self.max_lr
            * match self.shape {
                Shape::Constant => 1.0,
                Shape::Cosine { steps, end } => {
                    let steps = steps.saturating_sub(self.warmup).max(1);
                    half_cosine(1.0, end, (step as f64 / steps as f64).min(1.0))
                }
                Shape::Step { size, gamma } => gamma.powf((step / size.max(1)) as f64),
                Shape::OneCycle(cycle) => cycle.at(step).rate,
            }
    }

    /// The momentum of a step, if the schedule sets it: [`Self::one_cycle`] does.
    #[must_use]
    pub fn momentum(&self, step: u64) -> Option<f64> {
        match self.shape {
            Shape::OneCycle(cycle) => Some(cycle.at(step.saturating_sub(self.warmup)).momentum),
            Shape::Constant | Shape::Cosine { .. } | Shape::Step { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learning rates that `tests/generate/schedules.py` computes by PyTorch's recursions.
    #[test]
    fn schedules_follow_pytorch() {
        let cosine = Schedule::cosine(100);
        let expected = [
            (0, 0.001),
            (1, 0.000_999_753_280_2),
            (25, 0.000_853_553_390_6),
            (50, 0.0005),
            (99, 2.467_198_171e-7),
        ];
        follows(cosine, &expected);
        let expected = [
            (0, 2e-5),
            (1, 0.000_119),
            (10, 0.001_01),
            (19, 0.001_901),
            (20, 0.002),
            (40, 0.001_736_396_103),
            (60, 0.0011),
            (99, 0.000_200_693_867_4),
            (100, 0.0002),
            (1000, 0.0002),
        ];
        follows(cosine.warmup(20).end_factor(0.1).max_lr(2e-3), &expected);
        let expected = [
            (0, 0.1),
            (29, 0.1),
            (30, 0.01),
            (59, 0.01),
            (60, 1e-3),
            (90, 1e-4),
        ];
        follows(Schedule::step(30, 0.1).max_lr(0.1), &expected);
        let expected = [
            (0, 0.01),
            (1, 0.2575),
            (3, 0.7525),
            (4, 1.0),
            (6, 1.0),
            (7, 0.5),
            (10, 0.25),
        ];
        follows(Schedule::step(3, 0.5).warmup(4).max_lr(1.0), &expected);
        follows(Schedule::constant().max_lr(0.5), &[(0, 0.5), (1_000_000, 0.5)]);
    }

    fn follows(schedule: Schedule, expected: &[(u64, f64)]) {
        for &(step, rate) in expected {
            let found = schedule.at(step);
            assert!(
                (found / rate - 1.0).abs() < 1e-9,
                "{schedule:?} at {step}: {found}"
            );
            assert_eq!(schedule.momentum(step), None);
        }
    }

    #[test]
    fn the_one_cycle_schedule_scales_the_rate_and_sets_the_momentum() {
        let (schedule, cycle) = (Schedule::one_cycle(100).max_lr(3e-3), OneCycle::new(100));
        for step in [0, 1, 30, 31, 99, 100, 500] {
            let setting = cycle.at(step);
            assert_eq!(schedule.at(step), 3e-3 * setting.rate);
            assert_eq!(schedule.momentum(step), Some(setting.momentum));
        }
    }
}

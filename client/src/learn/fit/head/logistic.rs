//! Logistic regression with an L2 penalty: a linear layer on kept features, fitted to the optimum.

use std::thread;

use super::lbfgs::{self, dot};

/// [`penalty`] times the harmonic mean of the classes' images.
///
/// Measured: record 65 in docs/decisions.
const PENALTY: f64 = 6e-3;
/// Parts of the rows that are summed by one thread each. Fixed, so that the sums do not depend on the processors.
const PARTS: usize = 8;

/// Features with what their logits shall be.
#[derive(Debug)]
pub(super) struct Rows {
    /// `f32[N, D]`, flat.
    pub(super) features: Vec<f32>,
    /// Weight of each class in each row's cross entropy: `f32[N, K]`, flat. Their sum over all rows is about 1.
    pub(super) targets: Vec<f32>,
    /// Added to the logits: `f32[N, K]`, flat.
    pub(super) offsets: Vec<f32>,
    /// `K`.
    pub(super) classes: usize,
    /// Factor of half the squared weights in the objective, for features whose squared distance from their mean is 1 on average.
    pub(super) penalty: f64,
}

/// The penalty for classes of so many images: the less, the more there are. Their mean is the harmonic one, because the variance of what tells two
/// classes apart is that of 1/n + 1/m.
pub(super) fn penalty(images: &[u32]) -> f64 {
    let shown = images.iter().filter(|&&images| images > 0);
    let inverse: Vec<f64> = shown.map(|&images| f64::from(images).recip()).collect();
    PENALTY * inverse.iter().sum::<f64>() / inverse.len().max(1) as f64
}

/// A linear layer.
#[derive(Debug)]
pub(super) struct Linear {
    /// `f64[K, D]`, flat.
    pub(super) weights: Vec<f64>,
    /// `f64[K]`.
    pub(super) bias: Vec<f64>,
    /// The cross entropy that it reaches.
    pub(super) loss: f64,
}

impl Rows {
    /// The linear layer with the least cross entropy plus penalty; `None` if `is_stopped` meanwhile. The bias is not penalised.
    ///
    /// # Source
    ///
    /// By L-BFGS, as the linear probes of Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
    pub(super) fn fit(mut self, is_stopped: &dyn Fn() -> bool) -> Option<Linear> {
        let (mean, scale) = self.standardise();
        let width = mean.len();
        let start = vec![0.0; self.classes * (width + 1)];
        let (at, value) = lbfgs::minimise(&|at| self.objective(at), start, is_stopped)?;
        let (weights, bias) = at.split_at(self.classes * width);
        let weights: Vec<f64> = weights.iter().map(|weight| weight / scale).collect();
        let rows = weights.chunks_exact(width);
        let bias = bias.iter().zip(rows).map(|(bias, row)| bias - dot(row, &mean));
        Some(Linear {
            loss: value - self.penalised(&at[..self.classes * width]),
            bias: bias.collect(),
            weights,
        })
    }

    fn penalised(&self, weights: &[f64]) -> f64 {
        self.penalty / 2.0 * dot(weights, weights)
    }

    /// Subtracts the mean of the features, and divides them by their root mean square distance from it; returns both.
    fn standardise(&mut self) -> (Vec<f64>, f64) {
        let rows = self.targets.len() / self.classes;
        let width = self.features.len() / rows;
        let mut mean = vec![0.0; width];
        for row in self.features.chunks_exact(width) {
            mean.iter_mut()
                .zip(row)
                .for_each(|(sum, feature)| *sum += f64::from(*feature));
        }
        mean.iter_mut().for_each(|sum| *sum /= rows as f64);
        let centred = self.features.iter().zip(mean.iter().cycle());
        let squares: f64 = centred
            .map(|(feature, mean)| (f64::from(*feature) - mean).powi(2))
            .sum();
        let scale = (squares / rows as f64).sqrt();
        let scale = if scale > 0.0 { scale } else { 1.0 };
        for (feature, mean) in self.features.iter_mut().zip(mean.iter().cycle()) {
            *feature = ((f64::from(*feature) - mean) / scale) as f32;
        }
        (mean, scale)
    }

    /// Value and gradient of the objective. `at` has the weights, `[K, D]`, and then the bias.
    fn objective(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let classes = self.classes;
        let width = at.len() / classes - 1;
        let (weights, bias) = at.split_at(classes * width);
        let single: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
        let rows = self.targets.len() / classes;
        let part = rows.div_ceil(PARTS).max(1);
        let parts = self.features.chunks(part * width);
        let parts = parts.zip(
            self.targets
                .chunks(part * classes)
                .zip(self.offsets.chunks(part * classes)),
        );
        let sums = thread::scope(|scope| {
            let started: Vec<_> = parts
                .map(|(features, (targets, offsets))| {
                    let single = &single;
                    scope.spawn(move || sums(features, targets, offsets, (single, bias)))
                })
                .collect();
            let ended = started
                .into_iter()
                .map(|thread| thread.join().expect("sums do not panic"));
            ended.collect::<Vec<_>>()
        });
        let mut value = self.penalised(weights);
        let mut slope: Vec<f64> = weights.iter().map(|weight| self.penalty * weight).collect();
        slope.resize(at.len(), 0.0);
        for (loss, part) in sums {
            value += loss;
            slope
                .iter_mut()
                .zip(part)
                .for_each(|(sum, element)| *sum += element);
        }
        (value, slope)
    }
}

/// Cross entropy of some rows, and its gradient by weights and bias.
fn sums(
    features: &[f32],
    targets: &[f32],
    offsets: &[f32],
    (weights, bias): (&[f32], &[f64]),
) -> (f64, Vec<f64>) {
    let classes = bias.len();
    let width = weights.len() / classes;
    let mut slope = vec![0.0; weights.len() + classes];
    let mut loss = 0.0;
    let rows = features.chunks_exact(width);
    let rows = rows.zip(targets.chunks_exact(classes).zip(offsets.chunks_exact(classes)));
    for (row, (targets, offsets)) in rows {
        let logit = |(class, offset): (usize, &f32)| {
            f64::from(product(row, &weights[class * width..][..width])) + bias[class] + f64::from(*offset)
        };
        let logits: Vec<f64> = offsets.iter().enumerate().map(logit).collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total = logits.iter().map(|logit| (logit - most).exp()).sum::<f64>().ln() + most;
        let weight: f64 = targets.iter().map(|target| f64::from(*target)).sum();
        for (class, (logit, target)) in logits.iter().zip(targets).enumerate() {
            let target = f64::from(*target);
            loss += target * (total - logit);
            let residual = weight * (logit - total).exp() - target;
            let own = &mut slope[class * width..][..width];
            own.iter_mut()
                .zip(row)
                .for_each(|(sum, feature)| *sum += residual * f64::from(*feature));
            slope[weights.len() + class] += residual;
        }
    }
    (loss, slope)
}

/// The inner product, in sixteen sums that the compiler can keep in vectors.
fn product(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest = ones.remainder().iter().zip(others.remainder());
    let rest: f32 = rest.map(|(one, other)| one * other).sum();
    for (one, other) in ones.zip(others) {
        for (lane, (one, other)) in lanes.iter_mut().zip(one.iter().zip(other)) {
            *lane += one * other;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three clusters of features in four dimensions, far from the origin.
    fn rows(count: usize) -> Rows {
        let hash = |index: usize| (index.wrapping_mul(2_654_435_761) >> 7) % 1000;
        let features = (0..count * 4).map(|index| {
            let (row, feature) = (index / 4, index % 4);
            let centre = if row % 3 == feature { 3.0 } else { 0.0 };
            20.0 + centre + hash(index) as f32 / 250.0
        });
        let target = |index: usize| {
            if (index / 3) % 3 == index % 3 {
                1.0 / count as f32
            } else {
                0.0
            }
        };
        Rows {
            features: features.collect(),
            targets: (0..count * 3).map(target).collect(),
            offsets: (0..count * 3).map(|index| (index % 3) as f32 * 0.4).collect(),
            classes: 3,
            penalty: 1e-3,
        }
    }

    /// Independent of the standardisation: the objective in terms of the features themselves.
    fn objective(rows: &Rows, linear: (&[f64], &[f64]), scale: f64) -> f64 {
        let width = rows.features.len() / (rows.targets.len() / rows.classes);
        let mut sum = rows.penalty / 2.0 * scale * scale * dot(linear.0, linear.0);
        let each = rows
            .features
            .chunks(width)
            .zip(rows.targets.chunks(3).zip(rows.offsets.chunks(3)));
        for (row, (targets, offsets)) in each {
            let logits: Vec<f64> = (0..3)
                .map(|class| {
                    let own = linear.0[class * width..][..width].iter().zip(row);
                    own.map(|(weight, feature)| weight * f64::from(*feature))
                        .sum::<f64>()
                        + linear.1[class]
                        + f64::from(offsets[class])
                })
                .collect();
            let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            sum += targets
                .iter()
                .zip(&logits)
                .map(|(target, logit)| f64::from(*target) * (total - logit))
                .sum::<f64>();
        }
        sum
    }

    #[test]
    fn no_change_of_a_weight_or_bias_improves_the_fit() {
        let (given, mut standardised) = (rows(50), rows(50));
        let (_, scale) = standardised.standardise();
        let fitted = rows(50).fit(&|| false).expect("not stopped");
        let best = objective(&given, (&fitted.weights, &fitted.bias), scale);
        assert!(
            (best
                - fitted.loss
                - given.penalty / 2.0 * scale * scale * dot(&fitted.weights, &fitted.weights))
            .abs()
                < 1e-5
        );
        for index in 0..15_usize {
            for by in [-0.05, 0.05] {
                let (mut weights, mut bias) = (fitted.weights.clone(), fitted.bias.clone());
                // A bias is far from the data: it moves against the mean of the features.
                match index.checked_sub(12) {
                    None => {
                        weights[index] += by;
                        bias[index / 4] -= by * 22.0;
                    }
                    Some(class) => bias[class] += by,
                }
                let other = objective(&given, (&weights, &bias), scale);
                assert!(other > best - 1e-9, "{index} {by}: {other} {best}");
            }
        }
    }

    /// scikit-learn's `LogisticRegression(C=1 / (N penalty), tol=1e-10)` on the standardised features of `rows(30)`, with offsets of 0.
    #[test]
    fn the_fit_is_that_of_scikit_learn() {
        let mut given = rows(30);
        given.offsets.fill(0.0);
        let fitted = given.fit(&|| false).expect("not stopped");
        let mut standardised = rows(30);
        let (_, scale) = standardised.standardise();
        let found: Vec<f64> = fitted.weights.iter().map(|weight| weight * scale).collect();
        let expected = [
            5.6608, -2.7211, -3.1822, -0.4253, -4.8942, 5.357, -2.7402, 0.7559, -0.7666, -2.6359, 5.9225,
            -0.3306,
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-2, "{found} {expected}");
        }
    }

    #[test]
    fn the_penalty_falls_with_the_harmonic_mean_of_the_images() {
        // 2 / (1/4 + 1/12) = 6; a class without images does not count.
        for (images, mean) in [(&[8, 8, 8][..], 8.0), (&[4, 12], 6.0), (&[0, 5], 5.0)] {
            assert!((penalty(images) - PENALTY / mean).abs() < 1e-12, "{images:?}");
        }
    }

    #[test]
    fn constant_features_leave_the_bias_alone() {
        let constant = Rows {
            features: vec![2.0; 8],
            targets: vec![0.25, 0.0, 0.25, 0.0, 0.25, 0.0, 0.0, 0.25],
            offsets: vec![0.0; 8],
            classes: 2,
            penalty: 1e-3,
        };
        let fitted = constant.fit(&|| false).expect("not stopped");
        assert!(fitted.weights.iter().all(|weight| weight.abs() < 1e-9));
        assert!(
            (fitted.bias[0] - fitted.bias[1] - 3_f64.ln()).abs() < 1e-3,
            "{fitted:?}"
        );
    }

    #[test]
    fn a_fit_that_is_stopped_has_no_result() {
        assert!(rows(9).fit(&|| true).is_none());
    }
}

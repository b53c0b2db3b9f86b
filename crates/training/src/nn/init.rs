//! Parameter initialization.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rand::Rng as _;

use super::{Builder, Parameter, ParameterKind};
use crate::{
    graph::{Shape, Tensor},
    random::{Purpose, generator},
};

/// Initial state dictionary: parameters and running statistics by name.
///
/// Convolution weights: N(0, 2 / (K·R·S)). Linear weights of fastai's head: N(0, 2 / in), biases zero. Weights and biases of the plain head:
/// U(−1/√in, 1/√in). Batch norms: weight 1, bias 0, running mean 0, running variance 1.
///
/// # Determinism
/// A pure function of the model and the seed. Each tensor depends on its own name and shape only, so that the head does not affect the body.
///
/// # Source
/// Body: torchvision's `resnet.py` (`kaiming_normal_`, `fan_out`, `relu`). Plain head: PyTorch's `nn.Linear` (`kaiming_uniform_` with
/// a = √5). fastai's head: fastai's `apply_init`.
#[must_use]
pub fn state(model: &Builder<'_>, seed: u64) -> BTreeMap<String, Tensor> {
    let parameters = model.parameters().iter();
    let parameters: Vec<_> = parameters
        .map(|parameter| (parameter, model.graph.shape(parameter.value)))
        .collect();
    let next = AtomicUsize::new(0);
    let draw = || {
        let mut drawn = vec![];
        while let Some((parameter, shape)) = parameters.get(next.fetch_add(1, Ordering::Relaxed)) {
            drawn.push((parameter.name.clone(), initial(parameter, shape, seed)));
        }
        drawn
    };
    let parameters = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(draw)).collect();
        let drawn = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        drawn.collect::<Vec<_>>()
    });
    let statistics = model.statistics().iter().map(|statistic| {
        let start = if statistic.is_variance { 1.0 } else { 0.0 };
        (
            statistic.name.clone(),
            Tensor::full(model.graph.shape(statistic.value).clone(), start),
        )
    });
    parameters.into_iter().flatten().chain(statistics).collect()
}

fn initial(parameter: &Parameter, shape: &Shape, seed: u64) -> Tensor {
    match parameter.kind {
        ParameterKind::ConvWeight => normal(&parameter.name, shape, shape[0] * shape[2] * shape[3], seed),
        ParameterKind::LinearWeight => normal(&parameter.name, shape, shape[1], seed),
        ParameterKind::Uniform { inputs } => uniform(&parameter.name, shape, inputs, seed),
        ParameterKind::NormWeight => Tensor::full(shape.clone(), 1.0),
        ParameterKind::NormBias | ParameterKind::LinearBias | ParameterKind::Other => {
            Tensor::full(shape.clone(), 0.0)
        }
    }
}

/// N(0, 2 / fan): Kaiming normal for ReLU.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "drawn in double precision and rounded once; fans are far below 2^52"
)]
fn normal(name: &str, shape: &Shape, fan: usize, seed: u64) -> Tensor {
    let mut uniform = numbers(name, seed);
    let deviation = (2.0 / fan as f64).sqrt();
    let mut data = Vec::with_capacity(shape.elements());
    while data.len() < shape.elements() {
        // Box-Muller transform: two uniform numbers give two independent normal ones.
        let (radius, angle) = ((-2.0 * uniform().ln()).sqrt(), TAU * uniform());
        data.push((deviation * radius * angle.cos()) as f32);
        data.push((deviation * radius * angle.sin()) as f32);
    }
    data.truncate(shape.elements());
    Tensor {
        shape: shape.clone(),
        data,
    }
}

/// U(−1/√fan, 1/√fan): the default of PyTorch's `nn.Linear`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "drawn in double precision and rounded once; fans are far below 2^52"
)]
pub(super) fn uniform(name: &str, shape: &Shape, fan: usize, seed: u64) -> Tensor {
    let mut uniform = numbers(name, seed);
    let bound = 1.0 / (fan as f64).sqrt();
    let data = (0..shape.elements()).map(|_| ((2.0 * uniform() - 1.0) * bound) as f32);
    Tensor {
        shape: shape.clone(),
        data: data.collect(),
    }
}

/// Uniform numbers in (0, 1), a function of name and seed.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
fn numbers(name: &str, seed: u64) -> impl FnMut() -> f64 {
    let hash = *blake3::hash(name.as_bytes()).as_bytes();
    let coordinate = u64::from_le_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
    let mut random = generator(seed, Purpose::Initial, &[coordinate]);
    // 53 random bits plus half a step: never zero, whose logarithm is infinite.
    move || ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch's `nn.Linear(512, 100)`: bounds ±1/√512, variance a third of the squared bound.
    #[test]
    fn the_plain_head_is_initialized_like_pytorchs_linear() {
        let (inputs, shape) = (512, Shape::from([100, 512]));
        let bound = 1.0 / 512.0_f64.sqrt();
        let tensor = uniform("fc.weight", &shape, inputs, 7);
        let numbers: Vec<f64> = tensor.data.iter().map(|&number| f64::from(number)).collect();
        let count = numbers.len() as f64;
        let largest = numbers
            .iter()
            .fold(0.0_f64, |most, number| most.max(number.abs()));
        assert!(largest <= bound && largest > 0.999 * bound, "{largest}");
        let mean = numbers.iter().sum::<f64>() / count;
        let variance = numbers.iter().map(|number| number * number).sum::<f64>() / count;
        assert!(mean.abs() < 0.01 * bound, "{mean}");
        assert!(
            (variance / (bound * bound / 3.0) - 1.0).abs() < 0.02,
            "{variance}"
        );
    }
}

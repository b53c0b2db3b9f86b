//! The numbers that training starts from.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use equibatch_server::random::{Purpose, generator};
use rand::Rng as _;

use super::{Builder, Kind};
use crate::graph::{Shape, Tensor};

/// Initial values of everything the model keeps: parameters and running statistics, by name.
///
/// Convolutions are drawn from N(0, 2 / (K·R·S)), linear matrices from N(0, 2 / in); batch norms start as the identity.
///
/// # Determinism
/// A pure function of the model and the seed. A tensor's numbers depend on its own name and shape only, so that another head does not
/// change the body.
///
/// # Source
/// torchvision's `resnet.py` (`kaiming_normal_`, `fan_out`, `relu`) for the body, fastai's `apply_init` for the head.
#[must_use]
pub fn state(model: &Builder<'_>, seed: u64) -> BTreeMap<String, Tensor> {
    let parameters = model.parameters().iter().map(|parameter| {
        let shape = model.graph.shape(parameter.value);
        let tensor = match parameter.kind {
            Kind::ConvWeight => normal(&parameter.name, shape, shape[0] * shape[2] * shape[3], seed),
            Kind::LinearWeight => normal(&parameter.name, shape, shape[1], seed),
            Kind::NormWeight => Tensor::full(shape.clone(), 1.0),
            Kind::NormBias | Kind::LinearBias | Kind::Other => Tensor::full(shape.clone(), 0.0),
        };
        (parameter.name.clone(), tensor)
    });
    let statistics = model.statistics().iter().map(|statistic| {
        let start = if statistic.is_variance { 1.0 } else { 0.0 };
        (
            statistic.name.clone(),
            Tensor::full(model.graph.shape(statistic.value).clone(), start),
        )
    });
    parameters.chain(statistics).collect()
}

/// Numbers from N(0, 2 / fan), the variance that keeps the scale of signals through rectified layers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "drawn in double precision and rounded once; fans are far below 2^52"
)]
pub(super) fn normal(name: &str, shape: &Shape, fan: usize, seed: u64) -> Tensor {
    let hash = *blake3::hash(name.as_bytes()).as_bytes();
    let coordinate = u64::from_le_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
    let mut random = generator(seed, Purpose::Initial, &[coordinate]);
    // 53 random bits, shifted by half a step so that zero, whose logarithm is infinite, cannot come.
    let mut uniform = || ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let deviation = (2.0 / fan as f64).sqrt();
    let mut data = Vec::with_capacity(shape.elements());
    while data.len() < shape.elements() {
        // Box and Muller: two uniform numbers make two independent normal ones.
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

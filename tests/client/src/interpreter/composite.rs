use equibatch_training::graph::op::AdamW;

use super::array::Array;
use super::{elementwise, normalize};

/// The elements of each channel of `[N, C, …]`.
fn channels(x: &Array) -> Vec<Vec<f64>> {
    let inner: usize = x.shape[2..].iter().product();
    let mut channels = vec![Vec::new(); x.shape[1]];
    for (position, map) in x.data.chunks(inner).enumerate() {
        channels[position % x.shape[1]].extend_from_slice(map);
    }
    channels
}

/// The mean of each channel.
fn means(channels: &[Vec<f64>]) -> Array {
    let mean = |channel: &Vec<f64>| channel.iter().sum::<f64>() / channel.len() as f64;
    Array::new(&[channels.len()], channels.iter().map(mean).collect())
}

/// Mean and biased variance of each channel.
pub(super) fn moments(x: &Array) -> [Array; 2] {
    let channels = channels(x);
    let mean = means(&channels);
    let squares: Vec<Vec<f64>> = channels
        .iter()
        .zip(&mean.data)
        .map(|(channel, mean)| channel.iter().map(|element| (element - mean).powi(2)).collect())
        .collect();
    let variance = means(&squares);
    [mean, variance]
}

pub(super) fn batch_norm(operands: &[&Array], epsilon: f32) -> Vec<Array> {
    let [x, scale, bias] = operands else {
        panic!("three operands")
    };
    let [mean, variance] = moments(x);
    let y = normalize::batch_normalization(&[x, scale, bias, &mean, &variance], epsilon);
    vec![y, mean, variance]
}

/// With `x̂ = (x − μ)·r`: `dx = γ·r·(dy − mean(dy) − x̂·mean(dy·x̂))`, the textbook formula.
pub(super) fn batch_norm_gradient(operands: &[&Array], epsilon: f32) -> Vec<Array> {
    let [x, dy, scale, mean, variance] = operands else {
        panic!("five operands")
    };
    let deviation = |c: usize| (variance.data[c] + f64::from(epsilon)).sqrt();
    let normal = Array::from_fn(&x.shape, |index| {
        (x.at(index) - mean.data[index[1]]) / deviation(index[1])
    });
    let products = Array::from_fn(&x.shape, |index| dy.at(index) * normal.at(index));
    let (mean_dy, mean_product) = (means(&channels(dy)), means(&channels(&products)));
    let dx = Array::from_fn(&x.shape, |index| {
        let c = index[1];
        scale.data[c] / deviation(c)
            * (dy.at(index) - mean_dy.data[c] - normal.at(index) * mean_product.data[c])
    });
    let count = (x.data.len() / x.shape[1]) as f64;
    let total = |means: Array| Array::new(&means.shape, means.data.iter().map(|mean| mean * count).collect());
    vec![dx, total(mean_product), total(mean_dy)]
}

/// `(x − mean)·r` and r of each row.
fn standardized(x: &Array, epsilon: f32) -> (Array, Vec<f64>) {
    let width = *x.shape.last().expect("an axis");
    let (mut normal, mut factors) = (vec![], vec![]);
    for row in x.data.chunks(width) {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let r = 1.0 / (variance + f64::from(epsilon)).sqrt();
        normal.extend(row.iter().map(|x| (x - mean) * r));
        factors.push(r);
    }
    (Array::new(&x.shape, normal), factors)
}

/// Layer norm over the last axis.
pub(super) fn layer_norm(operands: &[&Array], epsilon: f32) -> Array {
    let [x, scale, bias] = operands else {
        panic!("three operands")
    };
    let (mut y, _) = standardized(x, epsilon);
    for row in y.data.chunks_mut(scale.data.len()) {
        for (c, y) in row.iter_mut().enumerate() {
            *y = *y * scale.data[c] + bias.data[c];
        }
    }
    y
}

/// With `x̂ = (x − mean)·r` and `g = dy·γ`: `dx = r·(g − mean(g) − x̂·mean(g·x̂))`, the textbook formula.
pub(super) fn layer_norm_gradient(operands: &[&Array], epsilon: f32) -> Vec<Array> {
    let [x, dy, scale] = operands else {
        panic!("three operands")
    };
    let (width, (normal, factors)) = (scale.data.len(), standardized(x, epsilon));
    let [mut to_scale, mut to_bias] = [(); 2].map(|()| Array::zeros(&[width]));
    let mut dx = vec![];
    let rows = normal.data.chunks(width).zip(dy.data.chunks(width));
    for ((normal, dy), r) in rows.zip(factors) {
        let g: Vec<f64> = dy.iter().zip(&scale.data).map(|(dy, scale)| dy * scale).collect();
        let mean = g.iter().sum::<f64>() / width as f64;
        let product = g.iter().zip(normal).map(|(g, x)| g * x).sum::<f64>() / width as f64;
        for c in 0..width {
            dx.push(r * (g[c] - mean - normal[c] * product));
            to_scale.data[c] += dy[c] * normal[c];
            to_bias.data[c] += dy[c];
        }
    }
    vec![Array::new(&x.shape, dx), to_scale, to_bias]
}

/// `Φ(x)`.
fn normal_distribution(x: f64) -> f64 {
    0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

pub(super) fn gelu(x: &Array) -> Array {
    elementwise::unary(&[x], |x| x * normal_distribution(x))
}

pub(super) fn gelu_gradient(operands: &[&Array]) -> Array {
    elementwise::binary(operands, |x, dy| {
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        dy * (normal_distribution(x) + x * density)
    })
}

pub(super) fn softmax_gradient(operands: &[&Array]) -> Array {
    let [y, dy] = operands else { panic!("two operands") };
    let width = *y.shape.last().expect("an axis");
    let mut dx = vec![];
    for (y, dy) in y.data.chunks(width).zip(dy.data.chunks(width)) {
        let total: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
        dx.extend(y.iter().zip(dy).map(|(y, dy)| y * (dy - total)));
    }
    Array::new(&y.shape, dx)
}

pub(super) fn cross_entropy(operands: &[&Array]) -> Array {
    let logs = normalize::log_softmax(operands[0]);
    Array::new(&[], vec![-logs.dot(operands[1])])
}

pub(super) fn max_pool_gradient(operands: &[&Array], shape: &[usize]) -> Array {
    let mut dx = Array::zeros(shape);
    for (&index, &dy) in operands[0].data.iter().zip(&operands[1].data) {
        dx.data[index as usize] += dy;
    }
    dx
}

/// Adam (Kingma and Ba) with decoupled weight decay; scalars as derived in `optim::AdamW`.
pub(super) fn adamw(operands: &[&Array], attributes: AdamW) -> Vec<Array> {
    let &[p, g, m, v, beta1, one_minus_beta1, scale2, decay, step] = operands else {
        panic!("nine operands")
    };
    let [beta2, epsilon] = [attributes.beta2, attributes.epsilon].map(f64::from);
    let one_minus_beta2 = f64::from(1.0 - attributes.beta2);
    let number = |scalar: &Array| scalar.data[0];
    let first = Array::from_fn(&p.shape, |at| {
        m.at(at) * number(beta1) + g.at(at) * number(one_minus_beta1)
    });
    let second = Array::from_fn(&p.shape, |at| {
        v.at(at) * beta2 + g.at(at).powi(2) * one_minus_beta2
    });
    let next = Array::from_fn(&p.shape, |at| {
        let direction = first.at(at) / (second.at(at).sqrt() * number(scale2) + epsilon);
        p.at(at) * number(decay) - direction * number(step)
    });
    vec![next, first, second]
}

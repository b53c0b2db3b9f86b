//! Layer norm, GELU and the gradient of softmax.

use super::{doubles, error, noise, same_everywhere};
use crate::kernels::{gelu, layer_norm, softmax};

const EPSILON: f32 = 1e-3;

/// `x̂` and `1/√(variance + ε)` of a row.
fn normal(row: &[f64]) -> (Vec<f64>, f64) {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let r = 1.0 / (variance + f64::from(EPSILON)).sqrt();
    (row.iter().map(|x| (x - mean) * r).collect(), r)
}

#[test]
fn layer_norm_and_its_gradient_match_the_reference() {
    for (rows, channels) in [(1, 5), (3, 16), (33, 37), (70, 96)] {
        let case = format!("{rows} rows of {channels}");
        let [x, dy] = [1, 2].map(|seed| noise(rows * channels, seed));
        // Far from zero: the variance must not be lost to cancellation.
        let x: Vec<f32> = x.iter().map(|x| x + 20.0).collect();
        let [scale, bias] = [3, 4].map(|seed| noise(channels, seed));
        let [x64, dy64, scale64, bias64] = [&x, &dy, &scale, &bias].map(|numbers| doubles(numbers));
        let (mut y, mut dx) = (vec![], vec![]);
        let [mut to_scale, mut to_bias] = [(); 2].map(|()| vec![0.0; channels]);
        for (row, dy) in x64.chunks(channels).zip(dy64.chunks(channels)) {
            let (normal, r) = normal(row);
            let g: Vec<f64> = dy.iter().zip(&scale64).map(|(dy, scale)| dy * scale).collect();
            let mean = g.iter().sum::<f64>() / channels as f64;
            let product = g.iter().zip(&normal).map(|(g, x)| g * x).sum::<f64>() / channels as f64;
            for c in 0..channels {
                y.push(normal[c] * scale64[c] + bias64[c]);
                dx.push(r * (g[c] - mean - normal[c] * product));
                to_scale[c] += dy[c] * normal[c];
                to_bias[c] += dy[c];
            }
        }
        let found = same_everywhere(&case, |exec| {
            let mut y = vec![f32::NAN; x.len()];
            layer_norm::forward(exec, [&x, &scale, &bias], EPSILON, &mut y);
            y
        });
        assert!(error(&found, &y) < 2e-5, "{case}: {}", error(&found, &y));
        let found = same_everywhere(&case, |exec| {
            let mut found = vec![f32::NAN; x.len() + 2 * channels];
            let (dx, parameters) = found.split_at_mut(x.len());
            let (to_scale, to_bias) = parameters.split_at_mut(channels);
            layer_norm::gradient(exec, [&x, &dy, &scale], EPSILON, [dx, to_scale, to_bias]);
            found
        });
        for (found, expected) in [
            (&found[..x.len()], &dx),
            (&found[x.len()..][..channels], &to_scale),
            (&found[x.len() + channels..], &to_bias),
        ] {
            assert!(
                error(found, expected) < 2e-5,
                "{case}: {}",
                error(found, expected)
            );
        }
    }
}

/// `erf x` by its Taylor series, for small numbers.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn gelu_and_its_gradient_match_the_reference() {
    let mut x: Vec<f32> = noise(20_011, 1).iter().map(|x| 5.0 * x).collect();
    x.extend([0.0, -0.0, 1e-30, -1e-30]);
    let dy = noise(x.len(), 2);
    let below = |x: f64| 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let y: Vec<f64> = doubles(&x).iter().map(|&x| x * below(x)).collect();
    let dx = doubles(&x).into_iter().zip(doubles(&dy));
    let dx: Vec<f64> = dx.map(|(x, dy)| dy * (below(x) + x * density(x))).collect();
    let found = same_everywhere("GELU", |exec| {
        let mut y = vec![f32::NAN; x.len()];
        gelu::forward(exec, &x, &mut y);
        y
    });
    assert!(error(&found, &y) < 5e-7, "{}", error(&found, &y));
    let found = same_everywhere("the gradient of GELU", |exec| {
        let mut dx = vec![f32::NAN; x.len()];
        gelu::gradient(exec, [&x, &dy], &mut dx);
        dx
    });
    assert!(error(&found, &dx) < 5e-7, "{}", error(&found, &dx));
}

#[test]
fn gelu_of_large_numbers_is_their_positive_part_and_of_nan_nan() {
    let x = [1e4, -1e4, 30.0, -30.0, f32::NAN];
    let [mut y, mut dx] = [[0.0; 5]; 2];
    super::with_exec(|exec| {
        gelu::forward(exec, &x, &mut y);
        gelu::gradient(exec, [&x, &[1.0; 5]], &mut dx);
    });
    assert_eq!((y[0], y[2]), (1e4, 30.0));
    for negative in [1, 3] {
        assert!(
            y[negative].abs() < 1e-30 && dx[negative].abs() < 1e-30,
            "{y:?} {dx:?}"
        );
    }
    assert_eq!((dx[0], dx[2]), (1.0, 1.0));
    assert!(y[4].is_nan() && dx[4].is_nan());
}

#[test]
fn the_gradient_of_softmax_matches_the_reference() {
    for (rows, width) in [(1, 1), (70, 5), (3, 48), (33, 197)] {
        let [y, dy] = [1, 2].map(|seed| noise(rows * width, seed));
        let [y64, dy64] = [&y, &dy].map(|numbers| doubles(numbers));
        let mut expected = vec![];
        for (y, dy) in y64.chunks(width).zip(dy64.chunks(width)) {
            let total: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
            expected.extend(y.iter().zip(dy).map(|(y, dy)| y * (dy - total)));
        }
        let case = format!("{rows} rows of {width}");
        let found = same_everywhere(&case, |exec| {
            let mut dx = vec![f32::NAN; y.len()];
            softmax::gradient(exec, width, [&y, &dy], &mut dx);
            dx
        });
        assert!(
            error(&found, &expected) < 2e-6,
            "{case}: {}",
            error(&found, &expected)
        );
    }
}

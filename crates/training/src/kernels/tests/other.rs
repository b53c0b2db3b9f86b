use super::{doubles, error, from_blocks, noise, same_everywhere, to_blocks, with_exec};
use crate::kernels::adamw::{self, AdamWStep};
use crate::kernels::max_pool::{self, PoolInput};
use crate::kernels::norm::{self, Normalization, Shortcut, Statistics};
use crate::kernels::{Extent, Window};

const EXTENT: Extent = Extent {
    images: 3,
    blocks: 2,
    rows: 5,
    columns: 7,
};

#[test]
fn nchwc_blocks_hold_sixteen_channels_of_a_pixel_contiguously() {
    let plain: Vec<f32> = (0..EXTENT.elements()).map(|place| place as f32).collect();
    let blocks = to_blocks(EXTENT, &plain);
    let pixels = EXTENT.rows * EXTENT.columns;
    // Image 1, channel 19, pixel 23.
    assert_eq!(
        blocks[EXTENT.image() + EXTENT.plane() + 23 * 16 + 3],
        plain[(32 + 19) * pixels + 23]
    );
    assert_eq!(from_blocks(EXTENT, &blocks), plain);
}

/// Against the textbook formula of the derivative.
#[test]
fn batch_norm_gradient_matches_the_reference() {
    let [g, x] = [1, 2].map(|seed| noise(EXTENT.elements(), seed));
    let channels = EXTENT.channels();
    let scale = noise(channels, 3);
    let count = (EXTENT.elements() / channels) as f64;
    let channel = |place: usize| place / EXTENT.plane() % EXTENT.blocks * 16 + place % 16;
    let sum = |of: &dyn Fn(usize) -> f64| {
        let mut sums = vec![0.0; channels];
        (0..EXTENT.elements()).for_each(|place| sums[channel(place)] += of(place));
        sums
    };
    let [g64, x64] = [doubles(&g), doubles(&x)];
    let mean: Vec<f64> = sum(&|place| x64[place]).iter().map(|sum| sum / count).collect();
    let centred = |place: usize| x64[place] - mean[channel(place)];
    let variance: Vec<f64> = sum(&|place| centred(place).powi(2))
        .iter()
        .map(|sum| sum / count)
        .collect();
    let epsilon = 1e-3_f32;
    let r = |channel: usize| 1.0 / (variance[channel] + f64::from(epsilon)).sqrt();
    let (partial_sums, products) = (
        sum(&|place| g64[place]),
        sum(&|place| g64[place] * centred(place)),
    );
    let expected: Vec<f64> = (0..EXTENT.elements())
        .map(|place| {
            let c = channel(place);
            let normal = centred(place) * r(c);
            f64::from(scale[c])
                * r(c)
                * (g64[place] - partial_sums[c] / count - normal * products[c] * r(c) / count)
        })
        .collect();

    let single = |numbers: &[f64]| numbers.iter().map(|&number| number as f32).collect::<Vec<_>>();
    let statistics = Statistics {
        scale: &scale,
        mean: &single(&mean),
        variance: &single(&variance),
        epsilon,
    };
    let sums = [single(&partial_sums), single(&products)].concat();
    let found = same_everywhere("the gradient of a batch norm", |exec| {
        let mut dx = vec![f32::NAN; EXTENT.elements()];
        norm::gradient(exec, EXTENT, (&statistics, &sums), [&g, &x], &mut dx);
        dx
    });
    assert!(error(&found, &expected) < 2e-6);
    let [mut to_scale, mut to_bias] = [(); 2].map(|()| vec![f32::NAN; channels]);
    norm::parameter_gradients(&statistics, &sums, [&mut to_scale, &mut to_bias]);
    let expected: Vec<f64> = (0..channels).map(|c| r(c) * products[c]).collect();
    assert!(error(&to_scale, &expected) < 1e-6 && to_bias == single(&partial_sums));
}

#[test]
fn normalize_adds_the_shortcut() {
    let [x, other] = [1, 2].map(|seed| noise(EXTENT.elements(), seed));
    let [scale_shift, of_other] = [3, 4].map(|seed| noise(2 * EXTENT.channels(), seed));
    let mapped = |x: &[f32], scale_shift: &[f32], place: usize| {
        let c = place / EXTENT.plane() % EXTENT.blocks * 16 + place % 16;
        x[place].mul_add(scale_shift[c], scale_shift[EXTENT.channels() + c])
    };
    for (shortcut, high) in [
        (Shortcut::None, None),
        (Shortcut::Identity(&other), Some(f32::INFINITY)),
        (Shortcut::ScaleShift(&other, &of_other), Some(0.5)),
        (Shortcut::ScaleShift(&other, &of_other), None),
    ] {
        let normalization = Normalization {
            x: &x,
            scale_shift: &scale_shift,
            shortcut,
            high,
        };
        let found = same_everywhere(&format!("{high:?}"), |exec| {
            let mut y = vec![f32::NAN; EXTENT.elements()];
            norm::normalize(exec, EXTENT, &normalization, &mut y);
            y
        });
        for (place, &found) in found.iter().enumerate() {
            let mut expected = mapped(&x, &scale_shift, place);
            match shortcut {
                Shortcut::None => {}
                Shortcut::Identity(other) => expected += other[place],
                Shortcut::ScaleShift(other, of_other) => expected += mapped(other, of_other, place),
            }
            if let Some(high) = high {
                expected = expected.clamp(0.0, high);
            }
            assert_eq!(found, expected, "place {place}");
        }
    }
}

/// A diverged loss must be detected, so no kernel may turn NaN into a number.
#[test]
fn nan_is_propagated() {
    let mut x = noise(EXTENT.elements(), 1);
    x[3] = f32::NAN;
    let scale_shift = vec![1.0; 2 * EXTENT.channels()];
    let normalization = Normalization {
        x: &x,
        scale_shift: &scale_shift,
        shortcut: Shortcut::None,
        high: Some(6.0),
    };
    let found = same_everywhere("a rectifier", |exec| {
        let mut y = vec![0.0; EXTENT.elements()];
        norm::normalize(exec, EXTENT, &normalization, &mut y);
        y
    });
    assert!(found[3].is_nan());
    let (mut mean, mut variance) = ([0.0], [0.0]);
    norm::mean_and_variance(&[[f64::NAN, 1.0]], 10, &mut mean, &mut variance);
    assert!(mean[0].is_nan() && variance[0].is_nan());
}

#[test]
fn statistics_become_scale_and_shift() {
    let mut statistics = [vec![0.0; 32], vec![0.0; 32]];
    let sums: Vec<[f64; 2]> = (0..32)
        .map(|c| [f64::from(c) * 10.0, f64::from(c * c) * 10.0 + 40.0])
        .collect();
    let [mean, variance] = &mut statistics;
    norm::mean_and_variance(&sums, 10, mean, variance);
    assert_eq!((mean[7], variance[7]), (7.0, 4.0));
    let (scale, bias) = (noise(32, 1), noise(32, 2));
    let mut scale_shift = vec![f32::NAN; 64];
    let given = Statistics {
        scale: &scale,
        mean,
        variance,
        epsilon: 0.0,
    };
    norm::scale_shift(&given, &bias, &mut scale_shift);
    for c in 0..32 {
        assert_eq!(scale_shift[c], scale[c] / 2.0);
        assert!((scale_shift[32 + c] - (bias[c] - c as f32 * scale[c] / 2.0)).abs() < 1e-6);
    }
}

/// Forward and backward, with ties among zeros of the ReLU and among equal values.
#[test]
fn pooling_passes_the_gradient_to_the_first_maximum() {
    for (kernel, stride, pad) in [(3, 2, 1), (2, 2, 0), (5, 1, 2)] {
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            pad: [pad; 2],
            pad_after: [pad; 2],
        };
        // Multiples of a quarter: many are equal.
        let x: Vec<f32> = noise(EXTENT.elements(), 1)
            .iter()
            .map(|number| (4.0 * number).round() / 4.0)
            .collect();
        let scale_shift = [vec![0.5; EXTENT.channels()], vec![0.125; EXTENT.channels()]].concat();
        let mean = noise(EXTENT.channels(), 2);
        let pool_input = PoolInput {
            x: &x,
            scale_shift: &scale_shift,
            input: EXTENT,
            window,
        };
        let output = pool_input.output();
        let dy = noise(output.elements(), 3);
        let found = same_everywhere(&format!("{window:?}"), |exec| {
            let mut y = vec![f32::NAN; output.elements()];
            max_pool::forward(exec, &pool_input, &mut y);
            let mut g = vec![f32::NAN; EXTENT.elements()];
            max_pool::backward(exec, &pool_input, [&dy, &mean], &mut g);
            [y, g].concat()
        });
        let (mut y, mut g) = (vec![0.0; output.elements()], vec![0.0; EXTENT.elements()]);
        for place in 0..output.elements() {
            let (plane, rest) = (place / output.plane(), place % output.plane());
            let (pixel, lane) = (rest / 16, rest % 16);
            let mut best = None;
            for tap in 0..window.taps() {
                let i = (pixel / output.columns * stride + tap / kernel).wrapping_sub(pad);
                let j = (pixel % output.columns * stride + tap % kernel).wrapping_sub(pad);
                if i < EXTENT.rows && j < EXTENT.columns {
                    let at = plane * EXTENT.plane() + (i * EXTENT.columns + j) * 16 + lane;
                    let value = (0.5 * x[at] + 0.125).max(0.0);
                    if best.is_none_or(|(largest, _)| value > largest) {
                        best = Some((value, at));
                    }
                }
            }
            let (largest, at) = best.expect("every window sees a pixel");
            y[place] = largest;
            if largest > 0.0 {
                g[at] += dy[place];
            }
        }
        assert_eq!(found[..y.len()], y, "{window:?}");
        assert!(error(&found[y.len()..], &doubles(&g)) < 1e-6, "{window:?}");
    }
}

#[test]
fn pooling_backward_returns_the_sums_of_its_gradient() {
    let [x, dy] = [1, 2].map(|seed| noise(EXTENT.elements(), seed));
    let (scale_shift, mean) = (noise(2 * EXTENT.channels(), 3), noise(EXTENT.channels(), 4));
    let pool_input = PoolInput {
        x: &x,
        scale_shift: &scale_shift,
        input: EXTENT,
        window: Window {
            kernel: [3; 2],
            stride: [1; 2],
            pad: [1; 2],
            pad_after: [1; 2],
        },
    };
    let mut g = vec![f32::NAN; EXTENT.elements()];
    let sums = with_exec(|exec| max_pool::backward(exec, &pool_input, [&dy, &mean], &mut g));
    for (c, found) in sums.iter().enumerate() {
        let places = (0..EXTENT.elements()).filter(|place| place / EXTENT.plane() % 2 * 16 + place % 16 == c);
        let (mut total, mut product) = (0.0, 0.0);
        for place in places {
            total += f64::from(g[place]);
            product += f64::from(g[place]) * f64::from(x[place] - mean[c]);
        }
        assert!(
            (found[0] - total).abs() < 1e-4 && (found[1] - product).abs() < 1e-4,
            "channel {c}"
        );
    }
}

/// Bit-identical to the standard operators, each rounded separately; lengths with a remainder, and more than one task.
#[test]
fn adamw_matches_unfused_operations() {
    let adamw_step = AdamWStep {
        beta1: 0.93,
        one_minus_beta1: 1.0 - 0.93,
        beta2: 0.99,
        one_minus_beta2: 1.0 - 0.99,
        scale2: 3.1,
        epsilon: 1e-8,
        decay: 0.9997,
        step: 2e-3,
    };
    for length in [1, 16, 37, (1 << 14) + 5] {
        let [p, g, m] = [1, 2, 3].map(|seed| noise(length, seed));
        let v: Vec<f32> = noise(length, 4).iter().map(|number| number.abs()).collect();
        let found = same_everywhere(&format!("{length}"), |exec| {
            let [mut next, mut first, mut second] = [(); 3].map(|()| vec![f32::NAN; length]);
            let from = [Some(&*p), Some(&*m), Some(&*v)];
            adamw::update(exec, &adamw_step, &g, from, [&mut next, &mut first, &mut second]);
            [next, first, second].concat()
        });
        let in_place = same_everywhere(&format!("{length}, in place"), |exec| {
            let [mut p, mut m, mut v] = [p.clone(), m.clone(), v.clone()];
            adamw::update(exec, &adamw_step, &g, [None; 3], [&mut p, &mut m, &mut v]);
            [p, m, v].concat()
        });
        assert!(found == in_place, "{length}");
        for i in 0..length {
            let first = m[i] * adamw_step.beta1 + g[i] * adamw_step.one_minus_beta1;
            let second = v[i] * adamw_step.beta2 + g[i] * g[i] * adamw_step.one_minus_beta2;
            let change = first / (second.sqrt() * adamw_step.scale2 + adamw_step.epsilon) * adamw_step.step;
            let expected = [p[i] * adamw_step.decay - change, first, second];
            assert_eq!(
                [found[i], found[length + i], found[2 * length + i]],
                expected,
                "{i} of {length}"
            );
        }
    }
}

//! The operators of our own domain. Blocks are a matter of memory, and of no concern here.

use equibatch_training::graph::fused::{Arrival, Fused, Gate, Operand, Shortcut};

use super::array::Array;
use super::{composite, convolution};

pub(super) fn apply(fused: &Fused, operands: &[&Array]) -> Vec<Array> {
    match *fused {
        Fused::ToBlocks | Fused::FromBlocks => vec![operands[0].clone()],
        Fused::Conv { conv, operand } => {
            let (x, rest) = seen(operand, operands);
            let y = convolution::conv(&[&x, rest[0]], conv);
            let [mean, variance] = composite::moments(&y);
            vec![y, mean, variance]
        }
        Fused::ConvInputGradient {
            conv,
            extent,
            arrival,
        } => {
            let dx = convolution::input_gradient(operands[0], operands[1], conv, extent);
            arrive(&dx, arrival, &operands[2..])
        }
        Fused::ConvWeightGradient {
            conv,
            kernel,
            operand,
        } => {
            let (x, rest) = seen(operand, operands);
            vec![convolution::weight_gradient(&x, rest[0], conv, kernel)]
        }
        Fused::Affine(norm) => {
            let [scale, bias, mean, variance] = operands else {
                panic!("four operands")
            };
            let channels = scale.data.len();
            let factor = |c: usize| scale.data[c] / (variance.data[c] + f64::from(norm.epsilon)).sqrt();
            vec![Array::from_fn(&[2, channels], |index| match *index {
                [0, c] => factor(c),
                [_, c] => bias.data[c] - mean.data[c] * factor(c),
                _ => unreachable!("two axes"),
            })]
        }
        Fused::Normalize {
            shortcut,
            is_rectified,
        } => {
            let shortcut = match shortcut {
                Shortcut::None => None,
                Shortcut::Raw => Some(operands[2].clone()),
                Shortcut::Affine => Some(mapped(operands[2], operands[3])),
            };
            let normal = mapped(operands[0], operands[1]);
            vec![Array::from_fn(&normal.shape, |index| {
                let y = normal.at(index) + shortcut.as_ref().map_or(0.0, |shortcut| shortcut.at(index));
                if is_rectified { y.max(0.0) } else { y }
            })]
        }
        Fused::Arrive(arrival) => arrive(operands[0], arrival, &operands[1..]),
        Fused::BatchNormGradient(norm) => {
            let &[g, x, _, scale, mean, variance] = operands else {
                panic!("six operands")
            };
            // The sums are not taken on trust.
            let mut gradients =
                composite::batch_norm_gradient(&[x, g, scale, mean, variance], norm.epsilon).into_iter();
            let dx = gradients.next().expect("three gradients");
            gradients.chain([dx]).collect()
        }
        Fused::MaxPool(pool) => {
            let rectified = rectified(&mapped(operands[0], operands[1]));
            convolution::max_pool(&rectified, pool)
                .into_iter()
                .take(1)
                .collect()
        }
        Fused::MaxPoolGradient(pool) => {
            let &[x, affine, dy, mean] = operands else {
                panic!("four operands")
            };
            let rectified = rectified(&mapped(x, affine));
            let pooled = convolution::max_pool(&rectified, pool);
            let passed = composite::max_pool_gradient(&[&pooled[1], dy], &x.shape);
            let arrival = Arrival {
                has_addend: false,
                gate: Gate::Result,
                has_centre: true,
            };
            arrive(&passed, arrival, &[&rectified, x, mean])
        }
        Fused::AdamW(adamw) => composite::adamw(operands, adamw),
    }
}

/// What a convolution reads, and the operands behind it.
fn seen<'o, 'a>(operand: Operand, operands: &'o [&'a Array]) -> (Array, &'o [&'a Array]) {
    match operand {
        Operand::Images | Operand::Blocks => (operands[0].clone(), &operands[1..]),
        Operand::Rectified => (rectified(&mapped(operands[0], operands[1])), &operands[2..]),
    }
}

/// `scale · x + shift` per channel.
fn mapped(x: &Array, affine: &Array) -> Array {
    Array::from_fn(&x.shape, |index| {
        affine.at(&[0, index[1]]) * x.at(index) + affine.at(&[1, index[1]])
    })
}

fn rectified(x: &Array) -> Array {
    Array::new(&x.shape, x.data.iter().map(|element| element.max(0.0)).collect())
}

fn arrive(dy: &Array, arrival: Arrival, operands: &[&Array]) -> Vec<Array> {
    let mut operands = operands.iter();
    let mut next = || *operands.next().expect("an operand for every part of an arrival");
    let addend = arrival.has_addend.then(&mut next);
    let gate = (arrival.gate != Gate::Open).then(&mut next);
    let centre = arrival.has_centre.then(|| (next(), next()));
    let open = match arrival.gate {
        Gate::Open => None,
        Gate::Result => gate.cloned(),
        Gate::Affine => gate.zip(centre).map(|(affine, (x, _))| mapped(x, affine)),
    };
    let g = Array::from_fn(&dy.shape, |index| {
        let arrived = dy.at(index) + addend.map_or(0.0, |addend| addend.at(index));
        if open.as_ref().is_none_or(|open| open.at(index) > 0.0) {
            arrived
        } else {
            0.0
        }
    });
    let Some((x, mean)) = centre else {
        return vec![g];
    };
    let mut sums = Array::zeros(&[2, x.shape[1]]);
    for index in super::array::indices(&g.shape) {
        let c = index[1];
        sums.add(&[0, c], g.at(&index));
        sums.add(&[1, c], g.at(&index) * (x.at(&index) - mean.data[c]));
    }
    vec![sums, g]
}

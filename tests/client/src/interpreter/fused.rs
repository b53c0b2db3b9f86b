//! The fused operators. The NCHWc layout does not change their meaning, so it is ignored here.

use equibatch_training::graph::fused::{ConvInput, Fused, GradEpilogue, ReluMask, Shortcut};
use equibatch_training::graph::op::{Conv2d, Relu};

use super::array::Array;
use super::{composite, convolution};

pub(super) fn apply(fused: &Fused, operands: &[&Array]) -> Vec<Array> {
    match *fused {
        Fused::ToBlocks | Fused::FromBlocks => vec![operands[0].clone()],
        Fused::Conv { conv, input } => {
            let (x, rest) = conv_input(input, operands);
            let y = convolution::conv(&[&x, rest[0]], conv);
            let [mean, variance] = composite::moments(&y);
            vec![y, mean, variance]
        }
        Fused::ExpandedConv { conv, relu: bounds } => {
            let &[x, e, scale_shift, w] = operands else {
                panic!("four operands")
            };
            let expanded = convolution::conv(&[x, e], Conv2d::default());
            let active = relu(&scaled_and_shifted(&expanded, scale_shift), bounds);
            vec![convolution::conv(&[&active, w], conv)]
        }
        Fused::ConvInputGradient {
            conv,
            extent,
            epilogue,
        } => {
            let dx = convolution::input_gradient(operands[0], operands[1], conv, extent);
            grad_epilogue(&dx, epilogue, &operands[2..])
        }
        Fused::ConvWeightGradient { conv, kernel, input } => {
            let (x, rest) = conv_input(input, operands);
            vec![convolution::weight_gradient(&x, rest[0], conv, kernel)]
        }
        Fused::CudnnInputGradient { conv, extent } => {
            vec![convolution::input_gradient(
                operands[0],
                operands[1],
                conv,
                extent,
            )]
        }
        Fused::CudnnWeightGradient { conv, kernel } => {
            vec![convolution::weight_gradient(
                operands[0],
                operands[1],
                conv,
                kernel,
            )]
        }
        Fused::ScaleShift(norm) => {
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
        Fused::Normalize { shortcut, relu } => {
            let shortcut = match shortcut {
                Shortcut::None => None,
                Shortcut::Raw => Some(operands[2].clone()),
                Shortcut::ScaleShift => Some(scaled_and_shifted(operands[2], operands[3])),
            };
            let normal = scaled_and_shifted(operands[0], operands[1]);
            vec![Array::from_fn(&normal.shape, |index| {
                let y = normal.at(index) + shortcut.as_ref().map_or(0.0, |shortcut| shortcut.at(index));
                relu.map_or(y, |relu| y.max(0.0).min(f64::from(relu.high)))
            })]
        }
        Fused::GradEpilogue(epilogue) => grad_epilogue(operands[0], epilogue, &operands[1..]),
        Fused::BatchNormGradient(norm) => {
            let &[g, x, _, scale, mean, variance] = operands else {
                panic!("six operands")
            };
            // The sums are computed again instead of using the operand.
            let mut gradients =
                composite::batch_norm_gradient(&[x, g, scale, mean, variance], norm.epsilon).into_iter();
            let dx = gradients.next().expect("three gradients");
            gradients.chain([dx]).collect()
        }
        Fused::MaxPool(pool) => {
            let active = relu(&scaled_and_shifted(operands[0], operands[1]), Relu::UNBOUNDED);
            convolution::max_pool(&active, pool).into_iter().take(1).collect()
        }
        Fused::MaxPoolGradient(pool) => {
            let &[x, scale_shift, dy, mean] = operands else {
                panic!("four operands")
            };
            let active = relu(&scaled_and_shifted(x, scale_shift), Relu::UNBOUNDED);
            let pooled = convolution::max_pool(&active, pool);
            let passed = composite::max_pool_gradient(&[&pooled[1], dy], &x.shape);
            let epilogue = GradEpilogue {
                has_addend: false,
                mask: ReluMask::Output(Relu::UNBOUNDED),
                has_batch_mean: true,
            };
            grad_epilogue(&passed, epilogue, &[&active, x, mean])
        }
        Fused::LayerNorm(norm) => vec![composite::layer_norm(operands, norm.epsilon)],
        Fused::LayerNormGradient(norm) => composite::layer_norm_gradient(operands, norm.epsilon),
        Fused::Gelu => vec![composite::gelu(operands[0])],
        Fused::GeluGradient => vec![composite::gelu_gradient(operands)],
        Fused::SoftmaxGradient => vec![composite::softmax_gradient(operands)],
        Fused::AdamW(adamw) => {
            let (update, conditions) = operands.split_at(9);
            match conditions {
                [is_finite, loss] if !(is_finite.data[0] > 0.0 && loss.data[0].is_finite()) => {
                    [0, 2, 3].map(|at| update[at].clone()).to_vec()
                }
                _ => composite::adamw(update, adamw),
            }
        }
    }
}

/// The input of a convolution after its prologue, and the remaining operands.
fn conv_input<'o, 'a>(input: ConvInput, operands: &'o [&'a Array]) -> (Array, &'o [&'a Array]) {
    match input {
        ConvInput::Nchw | ConvInput::NchwC => (operands[0].clone(), &operands[1..]),
        ConvInput::NchwCRelu(bounds) => (
            relu(&scaled_and_shifted(operands[0], operands[1]), bounds),
            &operands[2..],
        ),
    }
}

/// `scale · x + shift` per channel.
fn scaled_and_shifted(x: &Array, scale_shift: &Array) -> Array {
    Array::from_fn(&x.shape, |index| {
        scale_shift.at(&[0, index[1]]) * x.at(index) + scale_shift.at(&[1, index[1]])
    })
}

fn relu(x: &Array, relu: Relu) -> Array {
    let clipped = x
        .data
        .iter()
        .map(|element| element.max(0.0).min(f64::from(relu.high)));
    Array::new(&x.shape, clipped.collect())
}

fn grad_epilogue(dy: &Array, epilogue: GradEpilogue, operands: &[&Array]) -> Vec<Array> {
    let mut operands = operands.iter();
    let mut next = || {
        *operands
            .next()
            .expect("an operand for every part of the epilogue")
    };
    let addend = epilogue.has_addend.then(&mut next);
    let mask = (epilogue.mask != ReluMask::None).then(&mut next);
    let batch_mean = epilogue.has_batch_mean.then(|| (next(), next()));
    let (pre_mask, high) = match epilogue.mask {
        ReluMask::None => (None, 0.0),
        ReluMask::Output(relu) => (mask.cloned(), relu.high),
        ReluMask::ScaleShift(relu) => {
            let operands = mask.zip(batch_mean);
            let pre_mask = operands.map(|(scale_shift, (x, _))| scaled_and_shifted(x, scale_shift));
            (pre_mask, relu.high)
        }
    };
    let g = Array::from_fn(&dy.shape, |index| {
        let sum = dy.at(index) + addend.map_or(0.0, |addend| addend.at(index));
        let is_open = |value: f64| value > 0.0 && value < f64::from(high);
        if pre_mask.as_ref().is_none_or(|value| is_open(value.at(index))) {
            sum
        } else {
            0.0
        }
    });
    let Some((x, mean)) = batch_mean else {
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

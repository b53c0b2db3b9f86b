//! The cases.

use equibatch_training::graph::op::{
    AdamW, BatchNormalization, Clip, Conv2d, ConvTranspose2d, Gemm, LayerNormalization, MaxPool2d, Pad,
    Reduce, Relu, Slice,
};
use equibatch_training::graph::{Composite, ElementType, Op, Shape, TensorType};

use super::{Case, Fill};

/// All cases.
pub(in crate::compiler) fn cases() -> Vec<Case> {
    use Fill::{Any, Apart, Below, Positive, Truth};
    let float = |shape: &[usize], fill| (TensorType::f32(shape), fill);
    let reduce = |axes: &[usize], keep_axes| Reduce {
        axes: axes.to_vec(),
        keep_axes,
    };
    let epsilon = BatchNormalization { epsilon: 1e-3 };
    let truth = |shape: &[usize]| (TensorType::new(ElementType::Bool, shape), Truth);
    let gathered = |axis: usize, data: &[usize], indices: &[usize]| {
        let indices = (TensorType::new(ElementType::I64, indices), Below(data[axis]));
        let mut case = Case::new(Op::Gather(axis), vec![float(data, Any), indices]);
        case.is_linear = true;
        case
    };
    let mut cases = vec![
        Case::new(Op::Mul, vec![float(&[2, 3], Any), float(&[2, 3], Any)]),
        Case::new(Op::Div, vec![float(&[2, 3], Any), float(&[2, 3], Positive)]),
        Case::new(Op::Div, vec![float(&[], Any), float(&[2, 3], Positive)]),
        Case::linear(Op::Neg, &[&[2, 3]]),
        Case::new(Op::Reciprocal, vec![float(&[2, 3], Positive)]),
        Case::new(Op::Sqrt, vec![float(&[2, 3], Positive)]),
        Case::new(Op::Exp, vec![float(&[2, 3], Any)]),
        Case::new(Op::Log, vec![float(&[2, 3], Positive)]),
        Case::new(Op::Relu, vec![float(&[4, 5], Any)]),
        Case::new(Op::Sigmoid, vec![float(&[4, 5], Any)]),
        Case::new(Op::Tanh, vec![float(&[4, 5], Any)]),
        Case::new(Op::Erf, vec![float(&[4, 5], Any)]),
        Case::new(Op::Clip(Clip { low: -0.5, high: 0.7 }), vec![float(&[4, 5], Any)]),
        Case::new(
            Op::Clip(Clip {
                low: f32::NEG_INFINITY,
                high: 0.0,
            }),
            vec![float(&[7], Any)],
        ),
        Case::new(
            Op::Clip(Clip {
                low: 0.25,
                high: f32::INFINITY,
            }),
            vec![float(&[7], Any)],
        ),
        Case::new(Op::Greater, vec![float(&[4, 5], Any), float(&[5], Any)]),
        Case::new(Op::Equal, vec![float(&[4, 5], Below(3)), float(&[5], Below(3))]),
        Case::new(
            Op::Equal,
            vec![
                (TensorType::new(ElementType::I64, [9]), Below(3)),
                (TensorType::new(ElementType::I64, [9]), Below(3)),
            ],
        ),
        Case::new(Op::And, vec![truth(&[3, 4]), truth(&[4])]),
        Case::new(Op::Or, vec![truth(&[3, 4]), truth(&[4])]),
        Case::new(Op::Not, vec![truth(&[7])]),
        Case::new(Op::Max, vec![float(&[4, 5], Any), float(&[5], Any)]),
        Case::new(Op::Min, vec![float(&[4, 1], Any), float(&[4, 5], Any)]),
        Case::new(Op::Softplus, vec![float(&[4, 5], Any)]),
        Case::new(
            Op::Where,
            vec![
                (TensorType::new(ElementType::Bool, [3, 4]), Truth),
                float(&[3, 4], Any),
                float(&[4], Any),
            ],
        ),
        Case::new(
            Op::Cast(ElementType::F32),
            vec![(TensorType::new(ElementType::I64, [6]), Below(9))],
        ),
        Case::linear(Op::Sum, &[&[2, 3], &[2, 3], &[2, 3]]),
        Case::linear(Op::Sum, &[&[2, 3]]),
        Case::linear(Op::ReduceSum(reduce(&[0, 2], false)), &[&[2, 3, 4]]),
        Case::linear(Op::ReduceSum(reduce(&[1], true)), &[&[2, 3, 4]]),
        Case::linear(Op::ReduceMean(reduce(&[0, 2, 3], false)), &[&[2, 3, 4, 5]]),
        Case::linear(Op::ReduceMean(reduce(&[0], true)), &[&[2, 3]]),
        Case::new(
            Op::ReduceSumSquare(reduce(&[0, 2, 3], false)),
            vec![float(&[2, 3, 4, 5], Any)],
        ),
        Case::new(Op::ReduceSumSquare(reduce(&[1], true)), vec![float(&[2, 3], Any)]),
        Case::new(
            Op::ReduceMax(reduce(&[0, 2], false)),
            vec![float(&[2, 3, 4], Apart)],
        ),
        Case::new(Op::ReduceMax(reduce(&[1], true)), vec![float(&[2, 3], Apart)]),
        Case::linear(Op::Reshape(Shape::from([4, 3])), &[&[2, 6]]),
        Case::linear(Op::Flatten, &[&[2, 3, 1, 2]]),
        Case::linear(Op::Transpose(vec![2, 0, 1]), &[&[2, 3, 4]]),
        Case::linear(Op::Expand(Shape::from([2, 3, 4])), &[&[3, 1]]),
        Case::linear(Op::Concat(1), &[&[2, 1, 3], &[2, 2, 3], &[2, 4, 3]]),
        Case::linear(Op::Split(vec![1, 3]), &[&[4, 2]]),
        Case::linear(Op::Split(vec![3, 1, 2]), &[&[6]]),
        Case::linear(
            Op::Slice(Slice {
                starts: vec![1, 0],
                ends: vec![3, 4],
                steps: vec![1, 1],
            }),
            &[&[4, 5]],
        ),
        Case::linear(
            Op::Slice(Slice {
                starts: vec![1, 0, 2],
                ends: vec![6, 5, 7],
                steps: vec![2, 3, 1],
            }),
            &[&[6, 5, 8]],
        ),
        gathered(0, &[5, 3], &[4]),
        gathered(1, &[2, 5, 3], &[2, 4]),
        gathered(2, &[2, 3, 5], &[]),
        Case::linear(Op::Flip(vec![0, 2]), &[&[2, 3, 4]]),
        Case::linear(
            Op::Pad(Pad {
                before: vec![1, 0],
                after: vec![2, 3],
            }),
            &[&[2, 3]],
        ),
        Case::linear(Op::MatMul, &[&[3, 4], &[4, 5]]),
        Case::linear(Op::MatMul, &[&[2, 3, 4], &[4, 5]]),
        Case::linear(Op::MatMul, &[&[2, 1, 3, 4], &[3, 4, 2]]),
        Case::new(
            Op::ScatterElementsAdd,
            vec![
                float(&[6], Any),
                (TensorType::new(ElementType::I64, [9]), Below(6)),
                float(&[9], Any),
            ],
        ),
        Case::new(
            Op::ScatterElementsAdd,
            vec![
                float(&[4, 3], Any),
                (TensorType::new(ElementType::I64, [6, 3]), Below(4)),
                float(&[6, 3], Any),
            ],
        ),
        Case::linear(Op::GlobalAveragePool, &[&[2, 3, 4, 5]]),
        Case::new(
            Op::BatchNormalization(epsilon),
            vec![
                float(&[2, 3, 4, 5], Any),
                float(&[3], Any),
                float(&[3], Any),
                float(&[3], Any),
                float(&[3], Positive),
            ],
        ),
        Case::new(Op::Softmax, vec![float(&[4, 5], Any)]),
        Case::new(Op::LogSoftmax, vec![float(&[4, 5], Any)]),
        Case::new(Op::Softmax, vec![float(&[2, 3, 2, 4], Any)]),
        Case::new(Op::Softmax, vec![float(&[6], Any)]),
        Case::new(Op::LogSoftmax, vec![float(&[2, 3, 4], Any)]),
        Case::new(
            Op::OneHot(4),
            vec![(TensorType::new(ElementType::I64, [7]), Below(4))],
        ),
        Case::new(Op::Composite(Composite::Gelu), vec![float(&[4, 5], Any)]),
        Case::new(
            Op::Composite(Composite::GeluGradient),
            vec![float(&[4, 5], Any), float(&[4, 5], Any)],
        ),
        Case::new(
            Op::Composite(Composite::SoftmaxGradient),
            vec![float(&[2, 3, 18], Any), float(&[2, 3, 18], Any)],
        ),
        Case::new(
            Op::Composite(Composite::CrossEntropy),
            vec![float(&[5, 4], Any), float(&[5, 4], Positive)],
        ),
        Case::new(
            Op::Composite(Composite::AdamW(AdamW {
                beta2: 0.99,
                epsilon: 1e-8,
            })),
            [&[3, 7][..]; 3]
                .into_iter()
                .map(|shape| float(shape, Any))
                .chain([float(&[3, 7], Positive)])
                .chain((0..5).map(|_| float(&[], Positive)))
                .collect(),
        ),
        Case::new(
            Op::Composite(Composite::ReluGradient(Relu::UNBOUNDED)),
            vec![float(&[3, 4], Any), float(&[3, 4], Any)],
        ),
        Case::new(
            Op::Composite(Composite::ReluGradient(Relu { high: 0.5 })),
            vec![float(&[3, 4], Any), float(&[3, 4], Any)],
        ),
        Case::new(Op::Clip(Clip { low: 0.0, high: 0.7 }), vec![float(&[4, 5], Any)]),
        Case::new(
            Op::Composite(Composite::MaxPoolGradient(Shape::from([2, 1, 3, 4]))),
            vec![
                (TensorType::new(ElementType::I64, [2, 1, 2, 3]), Below(24)),
                float(&[2, 1, 2, 3], Any),
            ],
        ),
    ];
    // Broadcasting: every pair of ranks, with axes of extent one in every position.
    let shapes: [&[usize]; 9] = [
        &[],
        &[1],
        &[3],
        &[1, 3],
        &[2, 1],
        &[2, 3],
        &[1, 1, 3],
        &[4, 1, 1],
        &[4, 2, 3],
    ];
    for left in shapes {
        for right in shapes {
            cases.push(Case::linear(
                if left.len() < right.len() {
                    Op::Sub
                } else {
                    Op::Add
                },
                &[left, right],
            ));
            cases.push(Case::new(Op::Mul, vec![float(left, Any), float(right, Any)]));
        }
    }
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let a: &[usize] = if transpose_a { &[4, 3] } else { &[3, 4] };
        let b: &[usize] = if transpose_b { &[2, 4] } else { &[4, 2] };
        cases.push(Case::linear(
            Op::Gemm(Gemm {
                transpose_a,
                transpose_b,
            }),
            &[a, b],
        ));
        cases.push(Case::linear(
            Op::Gemm(Gemm {
                transpose_a,
                transpose_b,
            }),
            &[a, b, &[2]],
        ));
    }
    let layer = LayerNormalization { epsilon: 1e-3 };
    for shape in [&[5][..], &[6, 3], &[2, 3, 18]] {
        let (x, c) = (float(shape, Any), [shape[shape.len() - 1]]);
        let operands = vec![x.clone(), float(&c, Any), float(&c, Any)];
        cases.push(Case::new(Op::Composite(Composite::LayerNorm(layer)), operands));
        let operands = vec![x.clone(), x, float(&c, Any)];
        cases.push(Case::new(
            Op::Composite(Composite::LayerNormGradient(layer)),
            operands,
        ));
    }
    for shape in [&[6, 3][..], &[2, 3, 4, 5], &[3, 2, 1, 1]] {
        let (x, c) = (float(shape, Any), [shape[1]]);
        let operands = vec![x.clone(), float(&c, Any), float(&c, Any)];
        cases.push(Case::new(Op::Composite(Composite::BatchNorm(epsilon)), operands));
        let operands = vec![x.clone(), x, float(&c, Any), float(&c, Any), float(&c, Positive)];
        cases.push(Case::new(
            Op::Composite(Composite::BatchNormGradient(epsilon)),
            operands,
        ));
    }
    for (extent, size, conv, channels) in windows() {
        let (x, w) = ([2, channels, extent[0], extent[1]], [4, channels, size, size]);
        let span = conv.dilation.map(|dilation| (size - 1) * dilation + 1);
        let room = [0, 1].map(|axis| extent[axis] + conv.pad[axis] + conv.pad_after[axis] - span[axis]);
        let positions = [0, 1].map(|axis| room[axis] / conv.stride[axis] + 1);
        let y = [2, 4, positions[0], positions[1]];
        cases.push(Case::linear(Op::Conv(conv), &[&x, &w]));
        cases.push(Case::linear(
            Op::Composite(Composite::ConvInputGradient { conv, extent }),
            &[&w, &y],
        ));
        let kernel = [size, size];
        cases.push(Case::linear(
            Op::Composite(Composite::ConvWeightGradient { conv, kernel }),
            &[&x, &y],
        ));
        let rest = |axis: usize| room[axis] % conv.stride[axis];
        let transposed = ConvTranspose2d {
            conv,
            output_padding: [rest(0), rest(1)],
        };
        cases.push(Case::linear(Op::ConvTranspose(transposed), &[&y, &w]));
        let pad = conv.pad.map(|pad| pad.min(size - 1));
        let pool = MaxPool2d {
            kernel,
            stride: conv.stride,
            pad,
        };
        cases.push(Case::new(
            Op::MaxPool(pool),
            vec![float(&[2, 2, extent[0], extent[1]], Apart)],
        ));
    }
    // Depthwise, more filters than channels, several channels per group; strides that leave rows and columns uncovered.
    let groups = [
        (4, 4, 4, 1, 1),
        (3, 6, 3, 2, 1),
        (6, 4, 2, 2, 1),
        (4, 4, 1, 1, 1),
        (4, 4, 4, 2, 0),
    ];
    for (channels, filters, groups, stride, pad) in groups {
        let conv = Conv2d {
            groups,
            ..uneven(stride, pad, 1)
        };
        let extent = [6, 5];
        let positions = extent.map(|extent| (extent + pad + 1 - 3) / stride + 1);
        let (x, w) = (
            [2, channels, extent[0], extent[1]],
            [filters, channels / groups, 3, 3],
        );
        let y = [2, filters, positions[0], positions[1]];
        cases.push(Case::linear(Op::Conv(conv), &[&x, &w]));
        cases.push(Case::linear(Op::Conv(conv), &[&x, &w, &[filters]]));
        let rest = extent.map(|extent| (extent + pad + 1 - 3) % stride);
        let transposed = ConvTranspose2d {
            conv,
            output_padding: rest,
        };
        cases.push(Case::linear(Op::ConvTranspose(transposed), &[&y, &w]));
        cases.push(Case::linear(
            Op::Composite(Composite::ConvInputGradient { conv, extent }),
            &[&w, &y],
        ));
        let kernel = [3, 3];
        cases.push(Case::linear(
            Op::Composite(Composite::ConvWeightGradient { conv, kernel }),
            &[&x, &y],
        ));
    }
    cases.push(Case::linear(
        Op::Conv(Conv2d::square(1, 1)),
        &[&[1, 2, 4, 4], &[3, 2, 3, 3], &[3]],
    ));
    cases
}

/// `(extent, kernel size, stride and padding, channels)` of the tested windows: those of the networks, some that leave rows or columns at
/// the end uncovered, and sizes for which each decomposition is chosen.
fn windows() -> Vec<([usize; 2], usize, Conv2d, usize)> {
    vec![
        ([5, 6], 3, Conv2d::square(1, 1), 3),
        ([6, 7], 3, Conv2d::square(2, 1), 3),
        ([9, 8], 7, Conv2d::square(2, 3), 3),
        ([5, 4], 1, Conv2d::square(1, 0), 3),
        ([5, 6], 1, Conv2d::square(2, 0), 3),
        ([5, 5], 2, Conv2d::square(2, 0), 3),
        ([8, 7], 3, Conv2d::square(3, 0), 3),
        ([2, 2], 3, Conv2d::square(1, 1), 3),
        ([1, 1], 3, Conv2d::square(2, 1), 3),
        ([9, 9], 3, Conv2d::square(1, 1), 3),
        ([20, 15], 3, Conv2d::square(1, 1), 3),
        ([20, 15], 1, Conv2d::square(1, 0), 3),
        ([33, 32], 3, Conv2d::square(1, 1), 16),
        ([7, 6], 3, Conv2d::square(2, 1), 16),
        ([7, 6], 1, Conv2d::square(2, 0), 16),
        (
            [6, 7],
            3,
            Conv2d {
                stride: [2, 1],
                pad: [0, 1],
                pad_after: [0, 1],
                ..Conv2d::default()
            },
            16,
        ),
        ([6, 8], 3, uneven(2, 0, 1), 3),
        ([6, 8], 3, uneven(2, 0, 1), 16),
        ([7, 5], 5, uneven(1, 3, 1), 3),
        (
            [8, 9],
            3,
            Conv2d {
                dilation: [2, 1],
                pad: [2, 1],
                pad_after: [3, 0],
                ..Conv2d::default()
            },
            3,
        ),
        ([7, 9], 3, dilated(1, 2, [2, 3]), 3),
        ([9, 8], 3, dilated(2, 1, [2, 2]), 3),
        ([9, 10], 2, dilated(2, 1, [3, 1]), 3),
        ([7, 6], 3, dilated(1, 2, [2, 2]), 16),
        ([20, 15], 3, dilated(1, 2, [2, 2]), 3),
        ([33, 32], 3, dilated(1, 0, [2, 2]), 16),
    ]
}

fn uneven(stride: usize, pad: usize, after: usize) -> Conv2d {
    Conv2d {
        pad_after: [after; 2],
        ..Conv2d::square(stride, pad)
    }
}

fn dilated(stride: usize, pad: usize, dilation: [usize; 2]) -> Conv2d {
    Conv2d {
        dilation,
        ..Conv2d::square(stride, pad)
    }
}

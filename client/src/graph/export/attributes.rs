//! How each operator's attributes are written: some as attributes, some as constant operands.

use super::onnx::{AttributeProto, attribute_type};
use crate::graph::op::Conv2d;
use crate::graph::{Constant, Op, Shape};

/// What a node is written with besides its operands.
#[derive(Default)]
pub(super) struct Written {
    pub(super) attributes: Vec<AttributeProto>,
    /// Constant operands that follow the node's own.
    pub(super) constants: Vec<(Shape, Constant)>,
}

impl Written {
    fn attribute(mut self, name: &str, fill: impl FnOnce(&mut AttributeProto)) -> Self {
        let mut attribute = AttributeProto {
            name: name.to_owned(),
            ..AttributeProto::default()
        };
        fill(&mut attribute);
        self.attributes.push(attribute);
        self
    }

    fn int(self, name: &str, number: i64) -> Self {
        self.attribute(name, |attribute| {
            attribute.r#type = attribute_type::INT;
            attribute.i = number;
        })
    }

    fn ints(self, name: &str, numbers: &[usize]) -> Self {
        self.attribute(name, |attribute| {
            attribute.r#type = attribute_type::INTS;
            attribute.ints = numbers.iter().map(|&number| signed(number)).collect();
        })
    }

    fn float(self, name: &str, number: f32) -> Self {
        self.attribute(name, |attribute| {
            attribute.r#type = attribute_type::FLOAT;
            attribute.f = number;
        })
    }

    fn text(self, name: &str, text: &str) -> Self {
        self.attribute(name, |attribute| {
            attribute.r#type = attribute_type::STRING;
            attribute.s = text.as_bytes().to_vec();
        })
    }

    fn window(self, window: Conv2d) -> Self {
        let [vertical, horizontal] = window.pad;
        self.ints("pads", &[vertical, horizontal, vertical, horizontal])
            .ints("strides", &window.stride)
    }

    fn list(self, numbers: &[usize]) -> Self {
        self.signed_list(numbers.iter().map(|&number| signed(number)).collect())
    }

    fn signed_list(mut self, numbers: Vec<i64>) -> Self {
        self.constants
            .push((Shape::from([numbers.len()]), Constant::I64(numbers)));
        self
    }
}

/// An extent, axis or index as ONNX writes it.
pub(super) fn signed(number: usize) -> i64 {
    i64::try_from(number).expect("extents fit in memory")
}

/// What `op` is written with, or `None` for a composite, which has no spelling of its own.
pub(super) fn written(op: &Op) -> Option<Written> {
    let plain = Written::default();
    Some(match op {
        Op::Composite(_) => return None,
        Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Div
        | Op::Neg
        | Op::Reciprocal
        | Op::Sqrt
        | Op::Exp
        | Op::Log
        | Op::Relu
        | Op::Greater
        | Op::Where
        | Op::Sum
        | Op::MatMul
        | Op::GlobalAveragePool => plain,
        Op::Cast(to) => plain.int("to", i64::from(super::data_type_of(*to))),
        Op::ReduceSum(reduce) | Op::ReduceMean(reduce) | Op::ReduceSumSquare(reduce) => plain
            .int("keepdims", i64::from(reduce.keep_axes))
            .list(&reduce.axes),
        Op::Reshape(shape) | Op::Expand(shape) => plain.list(shape),
        Op::Flatten => plain.int("axis", 1),
        Op::Transpose(permutation) => plain.ints("perm", permutation),
        Op::Concat(axis) => plain.int("axis", signed(*axis)),
        Op::Slice(slice) => {
            let axes: Vec<usize> = (0..slice.starts.len()).collect();
            plain
                .list(&slice.starts)
                .list(&slice.ends)
                .list(&axes)
                .list(&slice.steps)
        }
        Op::Flip(axes) => {
            // From the last element down to before the first; ONNX clamps the end.
            let (start, end, step) = (
                vec![-1; axes.len()],
                vec![i64::MIN; axes.len()],
                vec![-1; axes.len()],
            );
            plain
                .signed_list(start)
                .signed_list(end)
                .list(axes)
                .signed_list(step)
        }
        Op::Pad(pad) => plain.list(&[&*pad.before, &*pad.after].concat()),
        Op::Gemm(gemm) => plain
            .int("transA", i64::from(gemm.transpose_a))
            .int("transB", i64::from(gemm.transpose_b)),
        Op::Conv(conv) => plain.window(*conv),
        Op::ConvTranspose(conv) => plain
            .window(conv.conv)
            .ints("output_padding", &conv.output_padding),
        Op::MaxPool(pool) => plain.ints("kernel_shape", &pool.kernel).window(Conv2d {
            stride: pool.stride,
            pad: pool.pad,
        }),
        Op::ScatterElementsAdd => plain.int("axis", 0).text("reduction", "add"),
        Op::BatchNormalization(attributes) => plain.float("epsilon", attributes.epsilon),
        Op::Softmax | Op::LogSoftmax => plain.int("axis", -1),
        Op::OneHot(width) => {
            let mut written = plain.list(&[*width]);
            written
                .constants
                .push((Shape::from([2]), Constant::F32(vec![0.0, 1.0])));
            written
        }
    })
}

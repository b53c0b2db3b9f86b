//! How each operator's attributes are written: some as attributes, some as constant operands.

use super::super::onnx::{AttributeProto, attribute_type};
use super::open::{Twin, is_whole};
use crate::graph::fused::{Arrival, Fused, Gate, Operand, Shortcut, attribute};
use crate::graph::op::{Conv2d, MaxPool2d};
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

    pub(super) fn ints(self, name: &str, numbers: &[usize]) -> Self {
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

/// What a node's spelling depends on besides its operator.
#[derive(Clone, Copy)]
pub(super) struct Place<'g> {
    /// Version of the operator set.
    pub(super) opset: i64,
    /// Where the batch size is left open: the same node for another one.
    pub(super) twin: Option<Twin<'g>>,
    /// Extents of the first operand.
    pub(super) operand: Option<&'g Shape>,
}

/// The target of a Reshape or Expand. An extent that depends on the batch size is not named: it is the operand's, or what is left.
fn open_target(op: &Op, shape: &Shape, place: Place<'_>) -> Vec<i64> {
    let mut target: Vec<i64> = shape.iter().map(|&extent| signed(extent)).collect();
    if let Some(twin) = place.twin
        && let Op::Reshape(of_twin) | Op::Expand(of_twin) = twin.op
    {
        let kept = |operand: Option<&Shape>, shape: &Shape, axis: usize| {
            operand.and_then(|operand| operand.get(axis)) == Some(&shape[axis])
        };
        for axis in (0..shape.len()).filter(|&axis| shape[axis] != of_twin[axis]) {
            target[axis] = match op {
                // Expanding to one leaves an extent as it is.
                Op::Expand(_) => 1,
                _ if kept(place.operand, shape, axis) && kept(twin.operand, of_twin, axis) => 0,
                _ => -1,
            };
        }
    }
    target
}

/// What `op` is written with, or `None` for a composite, which has no spelling of its own.
pub(super) fn written(op: &Op, place: Place<'_>) -> Option<Written> {
    let plain = Written::default();
    Some(match op {
        Op::Composite(_) => return None,
        Op::Fused(fused) => written_fused(fused, plain),
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
        | Op::Sigmoid
        | Op::Tanh
        | Op::Erf
        | Op::Greater
        | Op::Where
        | Op::Sum
        | Op::MatMul
        | Op::GlobalAveragePool => plain,
        Op::Clip(clip) => {
            let mut written = plain;
            for bound in [clip.low, clip.high] {
                written
                    .constants
                    .push((Shape::scalar(), Constant::F32(vec![bound])));
            }
            written
        }
        Op::Cast(to) => plain.int("to", i64::from(super::data_type_of(*to))),
        // The axes of the other reductions became an operand later than those of the sum.
        Op::ReduceMean(reduce) | Op::ReduceSumSquare(reduce) if place.opset < 18 => plain
            .ints("axes", &reduce.axes)
            .int("keepdims", i64::from(reduce.keep_axes)),
        Op::ReduceSum(reduce) | Op::ReduceMean(reduce) | Op::ReduceSumSquare(reduce) => plain
            .int("keepdims", i64::from(reduce.keep_axes))
            .list(&reduce.axes),
        Op::Reshape(shape) | Op::Expand(shape) => plain.signed_list(open_target(op, shape, place)),
        Op::Flatten => plain.int("axis", 1),
        Op::Transpose(permutation) => plain.ints("perm", permutation),
        Op::Concat(axis) => plain.int("axis", signed(*axis)),
        Op::Slice(slice) => {
            // Where the batch size is open, what is taken whole for any is not named.
            let is_named = |axis: &usize| match (place.operand, place.twin) {
                (Some(operand), Some(twin)) => {
                    let of_twin = twin
                        .operand
                        .is_some_and(|operand| is_whole(operand, twin.op, *axis));
                    !(is_whole(operand, op, *axis) && of_twin)
                }
                _ => true,
            };
            let axes: Vec<usize> = (0..slice.starts.len()).filter(is_named).collect();
            let of = |list: &[usize]| axes.iter().map(|&axis| list[axis]).collect::<Vec<_>>();
            plain
                .list(&of(&slice.starts))
                .list(&of(&slice.ends))
                .list(&axes)
                .list(&of(&slice.steps))
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
        Op::GroupConv(conv) => plain.window(conv.conv).int("group", signed(conv.groups)),
        Op::GroupConvTranspose(transpose) => plain
            .window(transpose.transpose.conv)
            .ints("output_padding", &transpose.transpose.output_padding)
            .int("group", signed(transpose.groups)),
        Op::ConvTranspose(conv) => plain
            .window(conv.conv)
            .ints("output_padding", &conv.output_padding),
        Op::MaxPool(pool) => plain.pool(*pool),
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

fn written_fused(fused: &Fused, plain: Written) -> Written {
    match *fused {
        Fused::ToBlocks | Fused::FromBlocks => plain,
        Fused::Conv { conv, operand } | Fused::ConvWeightGradient { conv, operand, .. } => {
            plain.window(conv).operand(operand)
        }
        Fused::ConvInputGradient { conv, arrival, .. } => plain.window(conv).arrival(arrival),
        Fused::Affine(norm) | Fused::BatchNormGradient(norm) => plain.float(attribute::EPSILON, norm.epsilon),
        Fused::Normalize {
            shortcut,
            is_rectified,
        } => plain
            .text(
                attribute::SHORTCUT,
                match shortcut {
                    Shortcut::None => attribute::NONE,
                    Shortcut::Raw => attribute::RAW,
                    Shortcut::Affine => attribute::AFFINE,
                },
            )
            .int(attribute::RECTIFIED, i64::from(is_rectified)),
        Fused::Arrive(arrival) => plain.arrival(arrival),
        Fused::MaxPool(pool) | Fused::MaxPoolGradient(pool) => plain.pool(pool),
        Fused::AdamW(adamw) => plain
            .float(attribute::BETA2, adamw.beta2)
            .float(attribute::EPSILON, adamw.epsilon),
    }
}

impl Written {
    fn pool(self, pool: MaxPool2d) -> Self {
        self.ints(attribute::KERNEL, &pool.kernel).window(Conv2d {
            stride: pool.stride,
            pad: pool.pad,
        })
    }

    fn operand(self, operand: Operand) -> Self {
        self.text(
            attribute::OPERAND,
            match operand {
                Operand::Images => attribute::IMAGES,
                Operand::Blocks => attribute::BLOCKS,
                Operand::Rectified => attribute::RECTIFIED,
            },
        )
    }

    fn arrival(self, arrival: Arrival) -> Self {
        self.int(attribute::ADDEND, i64::from(arrival.has_addend))
            .text(
                attribute::GATE,
                match arrival.gate {
                    Gate::Open => attribute::NONE,
                    Gate::Result => attribute::RESULT,
                    Gate::Affine => attribute::AFFINE,
                },
            )
            .int(attribute::CENTRE, i64::from(arrival.has_centre))
    }
}

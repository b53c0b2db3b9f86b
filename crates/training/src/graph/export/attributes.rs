//! Encoding of operator attributes: as ONNX attributes, or as constant operands where ONNX has operands.

use std::convert::Infallible;

use super::super::onnx::{AttributeProto, attribute_type};
use super::dynamic_batch::{ResizedNode, is_whole};
use super::tensor::{data_type_of, signed};
use crate::graph::fused::AttributeVisitor;
use crate::graph::op::Conv2d;
use crate::graph::{Constant, Op, Shape};

/// The parts of an exported node that follow from its operator.
#[derive(Default)]
pub(super) struct NodeEncoding {
    pub(super) attributes: Vec<AttributeProto>,
    /// Constant operands, appended to the node's own.
    pub(super) constants: Vec<(Shape, Constant)>,
}

impl NodeEncoding {
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
        let encoding = self
            .ints("pads", &[window.pad, window.pad_after].concat())
            .ints("strides", &window.stride);
        match window.dilation {
            [1, 1] => encoding,
            dilation => encoding.ints("dilations", &dilation),
        }
    }

    fn group(self, conv: Conv2d) -> Self {
        match conv.groups {
            1 => self,
            groups => self.int("group", signed(groups)),
        }
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

/// What the encoding depends on besides the operator.
#[derive(Clone, Copy)]
pub(super) struct NodeContext<'g> {
    /// Operator set version.
    pub(super) opset: i64,
    /// For a dynamic batch size: the same node built for another batch size.
    pub(super) resized: Option<ResizedNode<'g>>,
    /// Shape of the first operand.
    pub(super) operand: Option<&'g Shape>,
}

/// Target of a Reshape or Expand. Extents that depend on the batch size are written as 0 (copied from the operand) or −1 (inferred).
fn dynamic_target(op: &Op, shape: &Shape, context: NodeContext<'_>) -> Vec<i64> {
    let mut target: Vec<i64> = shape.iter().map(|&extent| signed(extent)).collect();
    if let Some(resized) = context.resized
        && let Op::Reshape(of_resized) | Op::Expand(of_resized) = resized.op
    {
        let kept = |operand: Option<&Shape>, shape: &Shape, axis: usize| {
            operand.and_then(|operand| operand.get(axis)) == Some(&shape[axis])
        };
        for axis in (0..shape.len()).filter(|&axis| shape[axis] != of_resized[axis]) {
            target[axis] = match op {
                // Expanding to one keeps the operand's extent.
                Op::Expand(_) => 1,
                _ if kept(context.operand, shape, axis) && kept(resized.operand, of_resized, axis) => 0,
                _ => -1,
            };
        }
    }
    target
}

/// The encoding of `op`, or `None` for a composite.
pub(super) fn encode(op: &Op, context: NodeContext<'_>) -> Option<NodeEncoding> {
    let plain = NodeEncoding::default();
    Some(match op {
        Op::Composite(_) => return None,
        Op::Fused(fused) => {
            let mut encoding = plain;
            let Ok(()) = fused.clone().visit(&mut encoding);
            encoding
        }
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
        | Op::Softplus
        | Op::Greater
        | Op::Equal
        | Op::And
        | Op::Or
        | Op::Not
        | Op::Max
        | Op::Min
        | Op::Where
        | Op::Sum
        | Op::MatMul
        | Op::GlobalAveragePool => plain,
        Op::Clip(clip) => {
            let mut encoding = plain;
            for bound in [clip.low, clip.high] {
                encoding
                    .constants
                    .push((Shape::scalar(), Constant::F32(vec![bound])));
            }
            encoding
        }
        Op::Cast(to) => plain.int("to", i64::from(data_type_of(*to))),
        // `axes` became an operand in opset 13 for ReduceSum, and in 18 for the other reductions.
        Op::ReduceMean(reduce) | Op::ReduceSumSquare(reduce) | Op::ReduceMax(reduce)
            if context.opset < 18 =>
        {
            plain
                .ints("axes", &reduce.axes)
                .int("keepdims", i64::from(reduce.keep_axes))
        }
        Op::ReduceSum(reduce)
        | Op::ReduceMean(reduce)
        | Op::ReduceSumSquare(reduce)
        | Op::ReduceMax(reduce) => plain
            .int("keepdims", i64::from(reduce.keep_axes))
            .list(&reduce.axes),
        Op::Reshape(shape) | Op::Expand(shape) => plain.signed_list(dynamic_target(op, shape, context)),
        Op::Flatten => plain.int("axis", 1),
        Op::Transpose(permutation) => plain.ints("perm", permutation),
        Op::Concat(axis) | Op::Gather(axis) => plain.int("axis", signed(*axis)),
        Op::Split(lengths) => plain.int("axis", 0).list(lengths),
        Op::Slice(slice) => {
            // With a dynamic batch size, axes that are sliced whole for every batch size are left out.
            let is_named = |axis: &usize| match (context.operand, context.resized) {
                (Some(operand), Some(resized)) => {
                    let of_resized = resized
                        .operand
                        .is_some_and(|operand| is_whole(operand, resized.op, *axis));
                    !(is_whole(operand, op, *axis) && of_resized)
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
            // From the last element down to the first; ONNX clamps the end.
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
        Op::Conv(conv) => plain.window(*conv).group(*conv),
        Op::ConvTranspose(transpose) => plain
            .window(transpose.conv)
            .ints("output_padding", &transpose.output_padding)
            .group(transpose.conv),
        Op::MaxPool(pool) => plain.ints("kernel_shape", &pool.kernel).window(pool.window()),
        Op::ScatterElementsAdd => plain.int("axis", 0).text("reduction", "add"),
        Op::BatchNormalization(attributes) => plain.float("epsilon", attributes.epsilon),
        Op::Softmax | Op::LogSoftmax => plain.int("axis", -1),
        Op::OneHot(width) => {
            let mut encoding = plain.list(&[*width]);
            encoding
                .constants
                .push((Shape::from([2]), Constant::F32(vec![0.0, 1.0])));
            encoding
        }
    })
}

impl AttributeVisitor for NodeEncoding {
    type Error = Infallible;

    fn visit_float(&mut self, name: &'static str, number: &mut f32) -> Result<(), Infallible> {
        *self = std::mem::take(self).float(name, *number);
        Ok(())
    }

    fn visit_flag(&mut self, name: &'static str, flag: &mut bool) -> Result<(), Infallible> {
        *self = std::mem::take(self).int(name, i64::from(*flag));
        Ok(())
    }

    fn visit_extents(&mut self, name: &'static str, extents: &mut [usize]) -> Result<(), Infallible> {
        *self = std::mem::take(self).ints(name, extents);
        Ok(())
    }

    fn visit_choice<T: Copy + PartialEq>(
        &mut self,
        name: &'static str,
        choice: &mut T,
        named: &[(&'static str, T)],
    ) -> Result<(), Infallible> {
        let text = named.iter().find(|(_, value)| value == choice);
        *self = std::mem::take(self).text(name, text.expect("every value has a name").0);
        Ok(())
    }

    /// The shapes of outputs are written for every operator.
    fn visit_output_extent(&mut self, _: &mut [usize; 2]) -> Result<(), Infallible> {
        Ok(())
    }
}

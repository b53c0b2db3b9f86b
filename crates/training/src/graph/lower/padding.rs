//! Convolutions that pad differently before and after, which neither cuDNN nor the other decompositions know: the padding becomes an operator
//! of its own.

use super::im2col::Layout;
use super::{Kernels, bf16, rewire};
use crate::graph::op::{Conv2d, Pad, Slice};
use crate::graph::{Composite, Error, Graph, Op, Value};

/// The operator on operands with explicit padding; `None` if it pads evenly or not at all.
pub(super) fn explicit(
    g: &mut Graph,
    op: &Op,
    inputs: &[Value],
    kernels: Option<Kernels>,
) -> Result<Option<Vec<Value>>, Error> {
    match *op {
        Op::Conv(conv) if !conv.is_evenly_padded() => {
            let mut inputs = inputs.to_vec();
            inputs[0] = padded(g, inputs[0], Layout::NCHW, conv)?;
            rewire(g, &Op::Conv(without(conv)), &inputs, kernels).map(Some)
        }
        Op::Composite(Composite::ConvWeightGradient { conv, kernel }) if !conv.is_evenly_padded() => {
            let inputs = [padded(g, inputs[0], Layout::NCHW, conv)?, inputs[1]];
            let conv = without(conv);
            let op = Op::Composite(Composite::ConvWeightGradient { conv, kernel });
            rewire(g, &op, &inputs, kernels).map(Some)
        }
        Op::Composite(Composite::ConvInputGradient { conv, extent }) if !conv.is_evenly_padded() => {
            let [top, left] = conv.pad;
            let whole = [0, 1].map(|axis| conv.pad[axis] + extent[axis] + conv.pad_after[axis]);
            let op = Op::Composite(Composite::ConvInputGradient {
                conv: without(conv),
                extent: whole,
            });
            let dx = rewire(g, &op, inputs, kernels)?[0];
            let mut inner = Slice::whole(g.shape(dx));
            inner.starts = vec![0, 0, top, left];
            (inner.ends[2], inner.ends[3]) = (top + extent[0], left + extent[1]);
            bf16::push(g, &Op::Slice(inner), &[dx]).map(Some)
        }
        _ => Ok(None),
    }
}

fn without(conv: Conv2d) -> Conv2d {
    Conv2d {
        pad: [0; 2],
        pad_after: [0; 2],
        ..conv
    }
}

/// `x` with the zeros that a convolution of it adds.
pub(super) fn padded(g: &mut Graph, x: Value, layout: Layout, conv: Conv2d) -> Result<Value, Error> {
    if [conv.pad, conv.pad_after] == [[0; 2]; 2] {
        return Ok(x);
    }
    let pad = Pad {
        before: layout.spatial(conv.pad),
        after: layout.spatial(conv.pad_after),
    };
    bf16::push(g, &Op::Pad(pad), &[x]).map(|y| y[0])
}

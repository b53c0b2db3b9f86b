//! A depthwise convolution with the 1×1 convolution before it.

use super::fusion::Fusion;
use super::value_state::{Deferred, DeferredOp};
use crate::graph::fused::ConvInput;
use crate::graph::op::Conv2d;
use crate::graph::{Error, Fused, Node, Op, Origin, Value};

/// Fewest pixels of a plane. Smaller ones stay in the caches, and the convolutions one by one have more of a weight's channels in registers.
const PIXELS: usize = 100;

impl Fusion<'_> {
    /// The depthwise convolution of `x` (old) with `w`, if `x` is a 1×1 convolution with a batch norm of running statistics and a ReLU, and nothing else
    /// reads any of these.
    pub(super) fn expanded_conv(
        &mut self,
        scope: &str,
        (conv, x, w): (Conv2d, Value, Value),
    ) -> Result<Option<Value>, Error> {
        let Some([inner, e]) = self.expansion(x).filter(|_| conv.groups > 1) else {
            return Ok(None);
        };
        let Some((normalized, relu)) = self
            .normalized(x)
            .and_then(|norm| Some((norm, norm.plain_relu()?)))
        else {
            return Ok(None);
        };
        let (ConvInput::NchwC, mut operands) = self.conv_input(inner)? else {
            return Ok(None);
        };
        operands.extend([e, normalized.scale_shift, w]);
        let [y] = self.push(scope, Fused::ExpandedConv { conv, relu }, &operands)?;
        Ok(Some(y))
    }

    /// Operand (old) and weight of the 1×1 convolution that `x` is made of.
    fn expansion(&self, x: Value) -> Option<[Value; 2]> {
        let relu = self.read_once(x)?;
        relu.op.as_relu()?;
        let norm = self.read_once(relu.inputs[0])?;
        if !matches!(norm.op, Op::BatchNormalization(_)) {
            return None;
        }
        let convolution = self.read_once(norm.inputs[0])?;
        let value = super::forward::first(convolution);
        let Some(Deferred {
            op: DeferredOp::Conv { conv, x: inner, w },
            ..
        }) = self.states[value.index()].deferred
        else {
            return None;
        };
        let is_plain = conv.is_dense() && conv.stride == [1; 2] && [conv.pad, conv.pad_after] == [[0; 2]; 2];
        let [plane, kernel] = [self.from.shape(x), self.to.shape(w)].map(|shape| shape[2] * shape[3]);
        (is_plain && kernel == 1 && plane >= PIXELS).then_some([inner, w])
    }

    /// The node that computes a value which is read once.
    fn read_once(&self, value: Value) -> Option<&Node> {
        match self.from.origin(value) {
            Origin::Node(node, 0) if self.uses[value.index()] == 1 => Some(self.from.node(*node)),
            _ => None,
        }
    }
}

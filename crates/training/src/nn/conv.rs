use super::{Builder, Mode, ParameterKind};
use crate::graph::op::Conv2d;
use crate::graph::{Composite, Error, Op, Value};

/// What a square convolution without bias is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    /// Channels of its result.
    pub(super) channels: usize,
    /// Rows and columns of its kernel.
    pub(super) kernel: usize,
    /// Distance between windows.
    pub(super) stride: usize,
}

impl Builder<'_> {
    /// A convolution padded by half its kernel.
    ///
    /// # Shapes
    /// `x: f32[N, C, H, W] → f32[N, K, ⌈H/stride⌉, ⌈W/stride⌉]` for odd kernels.
    pub(super) fn conv(&mut self, name: &str, x: Value, conv: Conv) -> Result<Value, Error> {
        let inputs = self.graph.shape(x)[1];
        let shape = [conv.channels, inputs, conv.kernel, conv.kernel];
        let weight = self.parameter(name, "weight", ParameterKind::ConvWeight, shape)?;
        let attributes = Conv2d::square(conv.stride, conv.kernel / 2);
        let op = match self.mode {
            Mode::Train => Op::Composite(Composite::Conv(attributes)),
            Mode::Inference => Op::Conv(attributes),
        };
        self.layer(name, |g| g.single(op, &[x, weight]))
    }
}

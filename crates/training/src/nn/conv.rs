use super::{Builder, ParameterKind};
use crate::graph::op::Conv2d;
use crate::graph::{Error, Value};

/// Attributes of a square convolution without bias.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    /// Output channels.
    pub(super) channels: usize,
    /// Kernel size.
    pub(super) kernel: usize,
    /// Stride.
    pub(super) stride: usize,
}

impl Builder<'_> {
    /// A convolution with padding `kernel / 2`.
    ///
    /// # Shapes
    /// `x: f32[N, C, H, W] → f32[N, K, ⌈H/stride⌉, ⌈W/stride⌉]` for odd kernels.
    pub(super) fn conv(&mut self, name: &str, x: Value, conv: Conv) -> Result<Value, Error> {
        let inputs = self.graph.shape(x)[1];
        let shape = [conv.channels, inputs, conv.kernel, conv.kernel];
        let weight = self.parameter(name, "weight", ParameterKind::ConvWeight, shape)?;
        let attributes = Conv2d::square(conv.stride, conv.kernel / 2);
        self.layer(name, |g| g.conv(x, weight, attributes))
    }
}

use super::{Builder, Kind};
use crate::graph::op::Gemm;
use crate::graph::{Error, Value};

impl Builder<'_> {
    /// `x·Wᵀ + b`.
    ///
    /// # Shapes
    /// `x: f32[N, in] → f32[N, out]`.
    pub(super) fn linear(&mut self, name: &str, x: Value, outputs: usize) -> Result<Value, Error> {
        let inputs = self.graph.shape(x)[1];
        let weight = self.parameter(name, "weight", Kind::LinearWeight, [outputs, inputs])?;
        let bias = self.parameter(name, "bias", Kind::LinearBias, [outputs])?;
        let gemm = Gemm {
            transpose_a: false,
            transpose_b: true,
        };
        self.layer(name, |g| g.gemm(x, weight, Some(bias), gemm))
    }
}

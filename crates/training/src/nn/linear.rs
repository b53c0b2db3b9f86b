use super::{Builder, LayerGroup, ParameterKind};
use crate::graph::op::Gemm;
use crate::graph::{Error, Value};

impl Builder<'_> {
    /// `x·Wᵀ + b`.
    ///
    /// # Shapes
    /// `x: f32[N, in] → f32[N, out]`.
    pub(super) fn linear(&mut self, name: &str, x: Value, outputs: usize) -> Result<Value, Error> {
        self.linear_of(
            name,
            x,
            outputs,
            [ParameterKind::LinearWeight, ParameterKind::LinearBias],
        )
    }

    /// [`Self::linear`] with PyTorch's default initialization.
    pub(super) fn plain_linear(&mut self, name: &str, x: Value, outputs: usize) -> Result<Value, Error> {
        let inputs = self.graph.shape(x)[1];
        self.linear_of(name, x, outputs, [ParameterKind::Uniform { inputs }; 2])
    }

    /// `x · s`, with a factor for each column that is 1 at first.
    ///
    /// # Shapes
    /// `x: f32[N, C] → f32[N, C]`.
    pub(crate) fn class_scales(&mut self, x: Value) -> Result<Value, Error> {
        self.group = LayerGroup::Head;
        let columns = self.graph.shape(x)[1];
        let scales = self.parameter("class", "scales", ParameterKind::NormWeight, [columns])?;
        self.layer("class", |g| g.mul(x, scales))
    }

    fn linear_of(
        &mut self,
        name: &str,
        x: Value,
        outputs: usize,
        [of_weight, of_bias]: [ParameterKind; 2],
    ) -> Result<Value, Error> {
        let inputs = self.graph.shape(x)[1];
        let weight = self.parameter(name, "weight", of_weight, [outputs, inputs])?;
        let bias = self.parameter(name, "bias", of_bias, [outputs])?;
        let gemm = Gemm {
            transpose_a: false,
            transpose_b: true,
        };
        self.layer(name, |g| g.gemm(x, weight, Some(bias), gemm))
    }
}

use super::{Builder, LayerGroup, ParameterKind};
use crate::graph::op::{Gemm, Reduce};
use crate::graph::{Error, Graph, Value};

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

    /// [`cosine`] of a weight with PyTorch's default initialization.
    pub(super) fn cosine_linear(
        &mut self,
        name: &str,
        x: Value,
        outputs: usize,
        scale: f32,
    ) -> Result<Value, Error> {
        let inputs = self.graph.shape(x)[1];
        let kind = ParameterKind::Uniform { inputs };
        let weight = self.parameter(name, "weight", kind, [outputs, inputs])?;
        self.layer(name, |g| cosine(g, x, (weight, 0), scale))
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

/// Added to squared lengths, so that vectors of zeros have a finite gradient.
const EPSILON: f32 = 1e-12;

/// `scale · cos(x, w)` for each row x and each output's weight vector w, which has no bias.
///
/// # Shapes
/// `x: f32[N, in]`; weight `f32[out, in]` if its `axis` of outputs is 0, `f32[in, out]` if that is 1 `→ f32[N, out]`.
///
/// # Errors
/// [`Error::Wiring`] if the shapes differ from these.
///
/// # Source
/// `NormedLinear` of Cao et al., NeurIPS 2019: `F.normalize(x, dim=1).mm(F.normalize(weight, dim=0))`, and its scale.
pub fn cosine(g: &mut Graph, x: Value, (weight, axis): (Value, usize), scale: f32) -> Result<Value, Error> {
    let gemm = Gemm {
        transpose_a: false,
        transpose_b: axis == 0,
    };
    let outputs = g.shape(weight)[axis];
    // Before the weights, so that the layer reads one value of those before it.
    let along_rows = length(g, x, 1)?;
    let x = g.div(x, along_rows)?;
    let product = g.gemm(x, weight, None, gemm)?;
    let lengths = length(g, weight, 1 - axis)?;
    let lengths = g.reshape(lengths, [1, outputs].into())?;
    let cosines = g.div(product, lengths)?;
    let scale = g.scalar(scale);
    g.mul(cosines, scale)
}

/// The lengths of the vectors along an axis, which is kept.
fn length(g: &mut Graph, x: Value, axis: usize) -> Result<Value, Error> {
    let reduce = Reduce {
        axes: vec![axis],
        keep_axes: true,
    };
    // An imported network may have Mul and ReduceSum, but no ReduceSumSquare.
    let squares = g.mul(x, x)?;
    let total = g.reduce_sum(squares, reduce)?;
    let epsilon = g.scalar(EPSILON);
    let positive = g.add(total, epsilon)?;
    g.sqrt(positive)
}

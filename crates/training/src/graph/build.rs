//! One [`Graph`] method per operator.

use super::op::{
    BatchNormalization, Clip, Conv2d, ConvTranspose2d, Gemm, LayerNormalization, MaxPool2d, Pad, Reduce,
    Relu, Slice,
};
use super::value::Value;
use super::{Composite, ElementType, Error, Graph, Op, Shape};

macro_rules! operators {
    ($($(#[$doc:meta])* $method:ident($($operand:ident),+ $(; $attribute:ident: $type:ty)?) => $op:expr;)+) => {
        impl Graph {
            $($(#[$doc])*
            ///
            /// # Errors
            /// [`Error::Wiring`] if the operator does not accept the operands.
            pub fn $method(&mut self, $($operand: Value,)+ $($attribute: $type)?) -> Result<Value, Error> {
                self.single($op, &[$($operand),+])
            })+
        }
    };
}

operators! {
    /// Wires [`Op::Add`].
    add(a, b) => Op::Add;
    /// Wires [`Op::Sub`].
    sub(a, b) => Op::Sub;
    /// Wires [`Op::Mul`].
    mul(a, b) => Op::Mul;
    /// Wires [`Op::Div`].
    div(a, b) => Op::Div;
    /// Wires [`Op::Neg`].
    neg(x) => Op::Neg;
    /// Wires [`Op::Reciprocal`].
    reciprocal(x) => Op::Reciprocal;
    /// Wires [`Op::Sqrt`].
    sqrt(x) => Op::Sqrt;
    /// Wires [`Op::Exp`].
    exp(x) => Op::Exp;
    /// Wires [`Op::Log`].
    log(x) => Op::Log;
    /// Wires [`Op::Relu`].
    relu(x) => Op::Relu;
    /// Wires [`Op::Sigmoid`].
    sigmoid(x) => Op::Sigmoid;
    /// Wires [`Op::Tanh`].
    tanh(x) => Op::Tanh;
    /// Wires [`Op::Erf`].
    erf(x) => Op::Erf;
    /// Wires [`Op::Softplus`].
    softplus(x) => Op::Softplus;
    /// Wires [`Op::Clip`].
    clip(x; clip: Clip) => Op::Clip(clip);
    /// Wires [`Op::Greater`].
    greater(a, b) => Op::Greater;
    /// Wires [`Op::Equal`].
    equal(a, b) => Op::Equal;
    /// Wires [`Op::And`].
    and(a, b) => Op::And;
    /// Wires [`Op::Or`].
    or(a, b) => Op::Or;
    /// Wires [`Op::Not`].
    not(x) => Op::Not;
    /// Wires [`Op::Where`].
    select(condition, a, b) => Op::Where;
    /// Wires [`Op::Cast`].
    cast(x; to: ElementType) => Op::Cast(to);
    /// Wires [`Op::ReduceSum`].
    reduce_sum(x; reduce: Reduce) => Op::ReduceSum(reduce);
    /// Wires [`Op::ReduceMean`].
    reduce_mean(x; reduce: Reduce) => Op::ReduceMean(reduce);
    /// Wires [`Op::ReduceSumSquare`].
    reduce_sum_square(x; reduce: Reduce) => Op::ReduceSumSquare(reduce);
    /// Wires [`Op::Reshape`].
    reshape(x; shape: Shape) => Op::Reshape(shape);
    /// Wires [`Op::Flatten`].
    flatten(x) => Op::Flatten;
    /// Wires [`Op::Transpose`].
    transpose(x; permutation: &[usize]) => Op::Transpose(permutation.to_vec());
    /// Wires [`Op::Expand`].
    expand(x; shape: Shape) => Op::Expand(shape);
    /// Wires [`Op::Slice`].
    slice(x; slice: Slice) => Op::Slice(slice);
    /// Wires [`Op::Gather`].
    gather(x, indices; axis: usize) => Op::Gather(axis);
    /// Wires [`Op::Flip`].
    flip(x; axes: &[usize]) => Op::Flip(axes.to_vec());
    /// Wires [`Op::Pad`].
    pad(x; pad: Pad) => Op::Pad(pad);
    /// Wires [`Op::MatMul`].
    matmul(a, b) => Op::MatMul;
    /// Wires [`Op::Conv`] without bias.
    conv(x, w; conv: Conv2d) => Op::Conv(conv);
    /// Wires [`Op::ConvTranspose`].
    conv_transpose(x, w; conv: ConvTranspose2d) => Op::ConvTranspose(conv);
    /// Wires [`Op::GlobalAveragePool`].
    global_average_pool(x) => Op::GlobalAveragePool;
    /// Wires [`Op::ScatterElementsAdd`].
    scatter_add(data, indices, updates) => Op::ScatterElementsAdd;
    /// Wires [`Op::Softmax`].
    softmax(x) => Op::Softmax;
    /// Wires [`Op::LogSoftmax`].
    log_softmax(x) => Op::LogSoftmax;
    /// Wires [`Op::OneHot`].
    one_hot(labels; width: usize) => Op::OneHot(width);
    /// Wires [`Composite::LayerNorm`].
    layer_norm(x, scale, bias; norm: LayerNormalization) => Op::Composite(Composite::LayerNorm(norm));
    /// Wires [`Composite::Gelu`].
    gelu(x) => Op::Composite(Composite::Gelu);
    /// Wires [`Composite::SoftmaxGradient`].
    softmax_gradient(y, dy) => Op::Composite(Composite::SoftmaxGradient);
    /// Wires [`Composite::CrossEntropy`].
    cross_entropy(logits, targets) => Op::Composite(Composite::CrossEntropy);
    /// Wires [`Composite::ReluGradient`].
    relu_gradient(y, dy; relu: Relu) => Op::Composite(Composite::ReluGradient(relu));
}

impl Graph {
    /// `x` cast to an element type; `x` itself if it already has it.
    ///
    /// # Errors
    /// Never: every element type can be cast to every other.
    pub fn converted(&mut self, x: Value, to: ElementType) -> Result<Value, Error> {
        if self.tensor_type(x).element_type == to {
            return Ok(x);
        }
        self.cast(x, to)
    }

    /// A scalar constant of the element type of `like`.
    ///
    /// # Errors
    /// Never: every element type can be cast to every other.
    pub fn scalar_like(&mut self, like: Value, number: f32) -> Result<Value, Error> {
        let to = self.tensor_type(like).element_type;
        let scalar = self.scalar(number);
        self.converted(scalar, to)
    }

    /// The sum along axes, accumulated in single precision and cast back to the element type of `x`.
    ///
    /// # Errors
    /// [`Error::Wiring`] if `x` lacks one of the axes or is not float.
    pub fn sum_along(&mut self, x: Value, reduce: Reduce) -> Result<Value, Error> {
        let precision = self.tensor_type(x).element_type;
        let wide = self.converted(x, ElementType::F32)?;
        let total = self.reduce_sum(wide, reduce)?;
        self.converted(total, precision)
    }

    /// Wires [`Op::Sum`].
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operands differ in type or shape.
    pub fn sum(&mut self, operands: &[Value]) -> Result<Value, Error> {
        self.single(Op::Sum, operands)
    }

    /// Wires [`Op::Concat`].
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operands differ along another axis than `axis`.
    pub fn concat(&mut self, axis: usize, operands: &[Value]) -> Result<Value, Error> {
        self.single(Op::Concat(axis), operands)
    }

    /// Wires [`Op::Split`].
    ///
    /// # Errors
    /// [`Error::Wiring`] if the lengths do not add up to the first extent.
    pub fn split(&mut self, x: Value, lengths: &[usize]) -> Result<Vec<Value>, Error> {
        self.push(Op::Split(lengths.to_vec()), &[x])
    }

    /// Wires [`Op::Gemm`], with an optional addend.
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operator does not accept the operands.
    pub fn gemm(&mut self, a: Value, b: Value, addend: Option<Value>, gemm: Gemm) -> Result<Value, Error> {
        let operands: Vec<Value> = [a, b].into_iter().chain(addend).collect();
        self.single(Op::Gemm(gemm), &operands)
    }

    /// Wires [`Op::MaxPool`] and returns the maxima and their flat indices.
    ///
    /// # Errors
    /// [`Error::Wiring`] if a window does not fit.
    pub fn max_pool(&mut self, x: Value, pool: MaxPool2d) -> Result<[Value; 2], Error> {
        self.several(Op::MaxPool(pool), &[x])
    }

    /// Wires [`Op::BatchNormalization`] to x, scale, bias, mean and variance.
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operator does not accept the operands.
    pub fn batch_normalization(
        &mut self,
        operands: [Value; 5],
        attributes: BatchNormalization,
    ) -> Result<Value, Error> {
        self.single(Op::BatchNormalization(attributes), &operands)
    }

    /// Wires [`Composite::BatchNorm`] and returns the output, the batch mean and the biased batch variance.
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operator does not accept the operands.
    pub fn batch_norm(
        &mut self,
        x: Value,
        scale: Value,
        bias: Value,
        attributes: BatchNormalization,
    ) -> Result<[Value; 3], Error> {
        self.several(Op::Composite(Composite::BatchNorm(attributes)), &[x, scale, bias])
    }

    /// Wires an operator with one output.
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operator does not accept the operands.
    pub fn single(&mut self, op: Op, operands: &[Value]) -> Result<Value, Error> {
        self.several(op, operands).map(|[value]| value)
    }

    /// Wires an operator with `COUNT` outputs.
    ///
    /// # Errors
    /// [`Error::Wiring`] if the operator does not accept the operands.
    pub fn several<const COUNT: usize>(
        &mut self,
        op: Op,
        operands: &[Value],
    ) -> Result<[Value; COUNT], Error> {
        let values = self.push(op, operands)?;
        Ok(values
            .try_into()
            .expect("the caller passes the operator's number of outputs"))
    }
}

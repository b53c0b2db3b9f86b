//! Reference interpreter: every operator as plain loops in double precision, against which gradient rules, decompositions and ONNX Runtime
//! are tested. Outputs in half precision are rounded to it; outputs in single precision are not rounded.

mod array;
mod composite;
mod convolution;
mod elementwise;
mod fused;
mod layout;
mod linear;
mod normalize;
mod reduce;

use std::collections::BTreeMap;

use equibatch_training::graph::{Composite, Constant, ElementType, Graph, Node, Op, Origin, Value};

pub use self::array::Array;

/// Computes every value of a graph from its inputs and parameters, by name.
///
/// # Panics
/// If an input or parameter that a node uses is missing or has the wrong shape.
#[must_use]
pub fn evaluate(graph: &Graph, leaves: &BTreeMap<String, Array>) -> Evaluation {
    let mut values: Vec<Option<Array>> = vec![None; graph.values().len()];
    for value in graph.values() {
        let shape = graph.shape(value);
        let array = match graph.origin(value) {
            Origin::Input(name) | Origin::Parameter(name) => leaves.get(name).cloned(),
            Origin::Constant(Constant::F32(data)) => Some(Array::new(
                shape,
                data.iter().map(|&number| f64::from(number)).collect(),
            )),
            Origin::Constant(Constant::I64(data)) => Some(Array::new(
                shape,
                data.iter().map(|&number| number as f64).collect(),
            )),
            Origin::Node(..) => None,
        };
        if let Some(array) = &array {
            assert_eq!(array.shape, **shape, "{:?}", graph.origin(value));
        }
        values[value.index()] = array;
    }
    for node in graph.nodes() {
        let operands: Vec<&Array> = node
            .inputs
            .iter()
            .map(|input| {
                values[input.index()]
                    .as_ref()
                    .unwrap_or_else(|| panic!("{:?} is given", graph.origin(*input)))
            })
            .collect();
        let results = apply(node, &operands);
        assert_eq!(results.len(), node.outputs().len());
        for (output, result) in node.outputs().zip(results) {
            assert_eq!(
                result.shape,
                **graph.shape(output),
                "{} in {}",
                node.op.name(),
                node.scope
            );
            values[output.index()] = Some(rounded(result, graph.tensor_type(output).element_type));
        }
    }
    Evaluation { values }
}

/// Rounds to nearest, ties to even, if the type is a 16-bit float; other arrays are returned unchanged.
fn rounded(array: Array, element_type: ElementType) -> Array {
    match element_type {
        ElementType::F16 => elementwise::unary(&[&array], |x| half::f16::from_f64(x).to_f64()),
        ElementType::Bf16 => elementwise::unary(&[&array], |x| half::bf16::from_f64(x).to_f64()),
        _ => array,
    }
}

/// All values of one run.
#[derive(Debug)]
pub struct Evaluation {
    values: Vec<Option<Array>>,
}

impl Evaluation {
    /// The array of a value.
    ///
    /// # Panics
    /// For an input or parameter that was not given.
    #[must_use]
    pub fn of(&self, value: Value) -> &Array {
        self.values[value.index()]
            .as_ref()
            .expect("the value was given or computed")
    }
}

fn apply(node: &Node, operands: &[&Array]) -> Vec<Array> {
    let one = |array: Array| vec![array];
    match &node.op {
        Op::Add => one(elementwise::binary(operands, |a, b| a + b)),
        Op::Sub => one(elementwise::binary(operands, |a, b| a - b)),
        Op::Mul => one(elementwise::binary(operands, |a, b| a * b)),
        Op::Div => one(elementwise::binary(operands, |a, b| a / b)),
        Op::Greater => one(elementwise::binary(operands, |a, b| f64::from(u8::from(a > b)))),
        Op::Equal => one(elementwise::binary(operands, |a, b| f64::from(u8::from(a == b)))),
        Op::And => one(elementwise::binary(operands, |a, b| a * b)),
        Op::Or => one(elementwise::binary(operands, f64::max)),
        Op::Not => one(elementwise::unary(operands, |x| 1.0 - x)),
        Op::Max => one(elementwise::binary(operands, f64::max)),
        Op::Min => one(elementwise::binary(operands, f64::min)),
        Op::Neg => one(elementwise::unary(operands, |x| -x)),
        Op::Reciprocal => one(elementwise::unary(operands, f64::recip)),
        Op::Sqrt => one(elementwise::unary(operands, f64::sqrt)),
        Op::Exp => one(elementwise::unary(operands, f64::exp)),
        Op::Log => one(elementwise::unary(operands, f64::ln)),
        Op::Relu => one(elementwise::unary(operands, |x| x.max(0.0))),
        Op::Sigmoid => one(elementwise::unary(operands, |x| 1.0 / (1.0 + (-x).exp()))),
        Op::Tanh => one(elementwise::unary(operands, f64::tanh)),
        Op::Erf => one(elementwise::unary(operands, libm::erf)),
        Op::Softplus => one(elementwise::unary(operands, |x| {
            x.max(0.0) + (-x.abs()).exp().ln_1p()
        })),
        Op::Clip(clip) => {
            let [low, high] = [clip.low, clip.high].map(f64::from);
            one(elementwise::unary(operands, |x| x.max(low).min(high)))
        }
        // All outputs are rounded to their type afterwards.
        Op::Cast(ElementType::F32 | ElementType::F16 | ElementType::Bf16) => one(operands[0].clone()),
        Op::Cast(ElementType::U8) => one(elementwise::unary(operands, |x| f64::from(x as u8))),
        Op::Cast(ElementType::I64) => one(elementwise::unary(operands, f64::trunc)),
        Op::Cast(ElementType::Bool) => one(elementwise::unary(operands, |x| f64::from(u8::from(x != 0.0)))),
        Op::Where => one(elementwise::select(operands)),
        Op::Sum => one(elementwise::sum(operands)),
        Op::ReduceSum(attributes) => one(reduce::sum(operands[0], attributes, |x| x)),
        Op::ReduceSumSquare(attributes) => one(reduce::sum(operands[0], attributes, |x| x * x)),
        Op::ReduceMean(attributes) => one(reduce::mean(operands[0], attributes)),
        Op::ReduceMax(attributes) => one(reduce::max(operands[0], attributes)),
        Op::Reshape(shape) => one(Array::new(shape, operands[0].data.clone())),
        Op::Flatten => one(layout::flatten(operands[0])),
        Op::Transpose(permutation) => one(layout::transpose(operands[0], permutation)),
        Op::Expand(shape) => one(layout::expand(operands[0], shape)),
        Op::Concat(axis) => one(layout::concat(operands, *axis)),
        Op::Split(lengths) => layout::split(operands[0], lengths),
        Op::Slice(slice) => one(layout::slice(operands[0], slice)),
        Op::Gather(axis) => one(layout::gather(operands, *axis)),
        Op::Flip(axes) => one(layout::flip(operands[0], axes)),
        Op::Pad(pad) => one(layout::pad(operands[0], pad)),
        Op::ScatterElementsAdd => one(layout::scatter_add(operands)),
        Op::MatMul => one(linear::matmul(operands[0], operands[1])),
        Op::Gemm(gemm) => one(linear::gemm(operands, *gemm)),
        Op::Conv(conv) => one(convolution::conv(operands, *conv)),
        Op::ConvTranspose(conv) => one(convolution::conv_transpose(operands, *conv)),
        Op::MaxPool(pool) => convolution::max_pool(operands[0], *pool),
        Op::GlobalAveragePool => one(convolution::global_average_pool(operands[0])),
        Op::BatchNormalization(attributes) => {
            one(normalize::batch_normalization(operands, attributes.epsilon))
        }
        Op::Softmax => one(normalize::softmax(operands[0])),
        Op::LogSoftmax => one(normalize::log_softmax(operands[0])),
        Op::OneHot(width) => one(normalize::one_hot(operands[0], *width)),
        Op::Composite(composite) => match composite {
            Composite::BatchNorm(attributes) => composite::batch_norm(operands, attributes.epsilon),
            Composite::BatchNormGradient(attributes) => {
                composite::batch_norm_gradient(operands, attributes.epsilon)
            }
            Composite::LayerNorm(norm) => one(composite::layer_norm(operands, norm.epsilon)),
            Composite::LayerNormGradient(norm) => composite::layer_norm_gradient(operands, norm.epsilon),
            Composite::Gelu => one(composite::gelu(operands[0])),
            Composite::GeluGradient => one(composite::gelu_gradient(operands)),
            Composite::SoftmaxGradient => one(composite::softmax_gradient(operands)),
            Composite::CrossEntropy => one(composite::cross_entropy(operands)),
            Composite::ConvInputGradient { conv, extent } => one(convolution::input_gradient(
                operands[0],
                operands[1],
                *conv,
                *extent,
            )),
            Composite::ConvWeightGradient { conv, kernel } => one(convolution::weight_gradient(
                operands[0],
                operands[1],
                *conv,
                *kernel,
            )),
            Composite::MaxPoolGradient(shape) => one(composite::max_pool_gradient(operands, shape)),
            Composite::ReluGradient(relu) => one(elementwise::binary(operands, |y, dy| {
                if y > 0.0 && y < f64::from(relu.high) {
                    dy
                } else {
                    0.0
                }
            })),
            Composite::AdamW(attributes) => composite::adamw(operands, *attributes),
        },
        Op::Fused(fused) => fused::apply(fused, operands),
    }
}

use super::walk::Walk;
use super::{Error, convolution, elementwise, layout, linear, normalize, reduce};
use crate::graph::import::ModelNode;
use crate::graph::{Op, Value};

/// The operators of ONNX that a network from a file may be made of. Besides these, CastLike, Constant, ConstantOfShape, Floor, Shape and Size
/// where they compute shapes and other numbers from nothing but constants and shapes.
pub const SUPPORTED: [&str; 49] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "Div",
    "Dropout",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "Reciprocal",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Operators whose results are numbers that are known while the file is read.
const KNOWN: [&str; 6] = [
    "CastLike",
    "Constant",
    "ConstantOfShape",
    "Floor",
    "Shape",
    "Size",
];

/// Operators of `nodes` that are not supported, each once.
pub(super) fn unsupported(nodes: &[ModelNode]) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    for node in nodes {
        let operator = &node.operator;
        let is_supported = SUPPORTED.contains(&&**operator) || KNOWN.contains(&&**operator);
        if !is_supported && !found.contains(operator) {
            found.push(operator.clone());
        }
    }
    found
}

/// The results of a node, as far as others may read them.
pub(super) fn translate(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Vec<Value>, Error> {
    let one = |value: Value| vec![value];
    match &*node.operator {
        "Add" => elementwise::binary(walk, node, Op::Add).map(one),
        "Sub" => elementwise::binary(walk, node, Op::Sub).map(one),
        "Mul" => elementwise::binary(walk, node, Op::Mul).map(one),
        "Div" => elementwise::binary(walk, node, Op::Div).map(one),
        "Neg" => elementwise::unary(walk, node, Op::Neg).map(one),
        "Reciprocal" => elementwise::unary(walk, node, Op::Reciprocal).map(one),
        "Sqrt" => elementwise::unary(walk, node, Op::Sqrt).map(one),
        "Exp" => elementwise::unary(walk, node, Op::Exp).map(one),
        "Log" => elementwise::unary(walk, node, Op::Log).map(one),
        "Relu" => elementwise::unary(walk, node, Op::Relu).map(one),
        "Sigmoid" => elementwise::unary(walk, node, Op::Sigmoid).map(one),
        "Tanh" => elementwise::unary(walk, node, Op::Tanh).map(one),
        "Erf" => elementwise::unary(walk, node, Op::Erf).map(one),
        "Pow" => elementwise::power(walk, node).map(one),
        "Clip" => elementwise::clip(walk, node).map(one),
        "LeakyRelu" => elementwise::leaky_relu(walk, node).map(one),
        "PRelu" => elementwise::learnt_relu(walk, node).map(one),
        "HardSigmoid" => elementwise::hard_sigmoid(walk, node).map(one),
        "HardSwish" => elementwise::hard_swish(walk, node).map(one),
        "Gelu" => elementwise::gelu(walk, node).map(one),
        "Greater" => elementwise::greater(walk, node).map(one),
        "Where" => elementwise::select(walk, node).map(one),
        "Cast" => layout::cast(walk, node).map(one),
        "Dropout" => normalize::dropout(walk, node).map(one),
        "ReduceMean" | "ReduceSum" => reduce::reduce(walk, node).map(one),
        "Reshape" => layout::reshape(walk, node).map(one),
        "Flatten" => layout::flatten(walk, node).map(one),
        "Squeeze" => layout::squeeze(walk, node).map(one),
        "Unsqueeze" => layout::unsqueeze(walk, node).map(one),
        "Transpose" => layout::transpose(walk, node).map(one),
        "Expand" => layout::expand(walk, node).map(one),
        "Concat" => layout::concat(walk, node).map(one),
        "Slice" => layout::slice(walk, node).map(one),
        "Gather" => layout::gather(walk, node).map(one),
        "Split" => layout::split(walk, node),
        "Pad" => layout::pad(walk, node).map(one),
        "MatMul" => linear::matmul(walk, node).map(one),
        "Gemm" => linear::gemm(walk, node).map(one),
        "Conv" => convolution::conv(walk, node).map(one),
        "MaxPool" => convolution::max_pool(walk, node).map(one),
        "AveragePool" => convolution::average_pool(walk, node).map(one),
        "GlobalAveragePool" => elementwise::unary(walk, node, Op::GlobalAveragePool).map(one),
        "GlobalMaxPool" => convolution::global_max_pool(walk, node).map(one),
        "BatchNormalization" => normalize::batch_norm(walk, node).map(one),
        "LayerNormalization" => normalize::layer_norm(walk, node).map(one),
        "Softmax" => normalize::softmax(walk, node, Op::Softmax).map(one),
        "LogSoftmax" => normalize::softmax(walk, node, Op::LogSoftmax).map(one),
        _ => Err(Error::Operator {
            node: node.name.clone(),
            operator: node.operator.clone(),
            others: vec![],
        }),
    }
}

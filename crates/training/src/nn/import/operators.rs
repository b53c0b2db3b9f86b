use super::importer::Importer;
use super::{Error, convolution, elementwise, layout, linear, normalize, reduce};
use crate::graph::import::ModelNode;
use crate::graph::{Op, Value};

/// Translates a node; returns the outputs that other nodes may read.
pub(super) fn translate(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Vec<Value>, Error> {
    let one = |value: Value| vec![value];
    match &*node.operator {
        "Add" => elementwise::binary(importer, node, Op::Add).map(one),
        "Sub" => elementwise::binary(importer, node, Op::Sub).map(one),
        "Mul" => elementwise::binary(importer, node, Op::Mul).map(one),
        "Div" => elementwise::binary(importer, node, Op::Div).map(one),
        "Neg" => elementwise::unary(importer, node, Op::Neg).map(one),
        "Reciprocal" => elementwise::unary(importer, node, Op::Reciprocal).map(one),
        "Sqrt" => elementwise::unary(importer, node, Op::Sqrt).map(one),
        "Exp" => elementwise::unary(importer, node, Op::Exp).map(one),
        "Log" => elementwise::unary(importer, node, Op::Log).map(one),
        "Relu" => elementwise::unary(importer, node, Op::Relu).map(one),
        "Sigmoid" => elementwise::unary(importer, node, Op::Sigmoid).map(one),
        "Tanh" => elementwise::unary(importer, node, Op::Tanh).map(one),
        "Erf" => elementwise::unary(importer, node, Op::Erf).map(one),
        "Pow" => elementwise::power(importer, node).map(one),
        "Clip" => elementwise::clip(importer, node).map(one),
        "LeakyRelu" => elementwise::leaky_relu(importer, node).map(one),
        "PRelu" => elementwise::prelu(importer, node).map(one),
        "HardSigmoid" => elementwise::hard_sigmoid(importer, node).map(one),
        "HardSwish" => elementwise::hard_swish(importer, node).map(one),
        "Gelu" => elementwise::gelu(importer, node).map(one),
        "Greater" => elementwise::greater(importer, node).map(one),
        "Where" => elementwise::select(importer, node).map(one),
        "Cast" => layout::cast(importer, node).map(one),
        "Dropout" => normalize::dropout(importer, node).map(one),
        "ReduceMean" | "ReduceSum" => reduce::reduce(importer, node).map(one),
        "Reshape" => layout::reshape(importer, node).map(one),
        "Flatten" => layout::flatten(importer, node).map(one),
        "Squeeze" => layout::squeeze(importer, node).map(one),
        "Unsqueeze" => layout::unsqueeze(importer, node).map(one),
        "Transpose" => layout::transpose(importer, node).map(one),
        "Expand" => layout::expand(importer, node).map(one),
        "Concat" => layout::concat(importer, node).map(one),
        "Slice" => layout::slice(importer, node).map(one),
        "Gather" => layout::gather(importer, node).map(one),
        "Split" => layout::split(importer, node),
        "Pad" => layout::pad(importer, node).map(one),
        "MatMul" => linear::matmul(importer, node).map(one),
        "Gemm" => linear::gemm(importer, node).map(one),
        "Conv" => convolution::conv(importer, node).map(one),
        "MaxPool" => convolution::max_pool(importer, node).map(one),
        "AveragePool" => convolution::average_pool(importer, node).map(one),
        "GlobalAveragePool" => elementwise::unary(importer, node, Op::GlobalAveragePool).map(one),
        "GlobalMaxPool" => convolution::global_max_pool(importer, node).map(one),
        "BatchNormalization" => normalize::batch_norm(importer, node).map(one),
        "LayerNormalization" => normalize::layer_norm(importer, node).map(one),
        "Softmax" => normalize::softmax(importer, node, Op::Softmax).map(one),
        "LogSoftmax" => normalize::softmax(importer, node, Op::LogSoftmax).map(one),
        _ => Err(Error::Operator {
            node: node.name.clone(),
            operator: node.operator.clone(),
            others: vec![],
        }),
    }
}

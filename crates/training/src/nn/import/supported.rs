use crate::graph::import::ModelNode;

/// Supported ONNX operators. CastLike, Constant, ConstantOfShape, Floor, Shape and Size are supported in constant folding only.
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

/// Operators supported in constant folding only.
const FOLDED: [&str; 6] = [
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
        let is_supported = SUPPORTED.contains(&&**operator) || FOLDED.contains(&&**operator);
        if !is_supported && !found.contains(operator) {
            found.push(operator.clone());
        }
    }
    found
}

use super::{Composite, Op};

impl Op {
    /// Name of the operator: its ONNX name, unless it is a composite.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Sub => "Sub",
            Self::Mul => "Mul",
            Self::Div => "Div",
            Self::Neg => "Neg",
            Self::Reciprocal => "Reciprocal",
            Self::Sqrt => "Sqrt",
            Self::Exp => "Exp",
            Self::Log => "Log",
            Self::Relu => "Relu",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Erf => "Erf",
            Self::Softplus => "Softplus",
            Self::Clip(_) => "Clip",
            Self::Greater => "Greater",
            Self::Equal => "Equal",
            Self::And => "And",
            Self::Or => "Or",
            Self::Not => "Not",
            Self::Max => "Max",
            Self::Min => "Min",
            Self::Where => "Where",
            Self::Cast(_) => "Cast",
            Self::Sum => "Sum",
            Self::ReduceSum(_) => "ReduceSum",
            Self::ReduceMean(_) => "ReduceMean",
            Self::ReduceSumSquare(_) => "ReduceSumSquare",
            Self::ReduceMax(_) => "ReduceMax",
            Self::Reshape(_) => "Reshape",
            Self::Flatten => "Flatten",
            Self::Transpose(_) => "Transpose",
            Self::Expand(_) => "Expand",
            Self::Concat(_) => "Concat",
            Self::Split(_) => "Split",
            Self::Slice(_) | Self::Flip(_) => "Slice",
            Self::Gather(_) => "Gather",
            Self::Pad(_) => "Pad",
            Self::MatMul => "MatMul",
            Self::Gemm(_) => "Gemm",
            Self::Conv(_) => "Conv",
            Self::ConvTranspose(_) => "ConvTranspose",
            Self::MaxPool(_) => "MaxPool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::ScatterElementsAdd => "ScatterElements",
            Self::BatchNormalization(_) => "BatchNormalization",
            Self::Softmax => "Softmax",
            Self::LogSoftmax => "LogSoftmax",
            Self::OneHot(_) => "OneHot",
            Self::Composite(composite) => composite.name(),
            Self::Fused(fused) => fused.name(),
        }
    }
}

impl Composite {
    /// Name of the composite, for errors and scopes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BatchNorm(_) => "BatchNorm",
            Self::BatchNormGradient(_) => "BatchNormGradient",
            Self::LayerNorm(_) => "LayerNorm",
            Self::LayerNormGradient(_) => "LayerNormGradient",
            Self::Gelu => "Gelu",
            Self::GeluGradient => "GeluGradient",
            Self::SoftmaxGradient => "SoftmaxGradient",
            Self::CrossEntropy => "CrossEntropy",
            Self::ConvInputGradient { .. } => "ConvInputGradient",
            Self::ConvWeightGradient { conv, .. } if conv.groups > 1 => "GroupConvWeightGradient",
            Self::ConvWeightGradient { .. } => "ConvWeightGradient",
            Self::MaxPoolGradient(_) => "MaxPoolGradient",
            Self::ReluGradient(_) => "ReluGradient",
            Self::AdamW(_) => "AdamW",
        }
    }
}

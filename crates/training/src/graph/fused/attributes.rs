//! Names of the fused operators, and of their attributes and the values of these, in model files. The strings are those of earlier releases.

use super::{ConvInput, Fused, GradEpilogue, ReluMask, Shortcut};
use crate::graph::op_attributes::{AdamW, BatchNormalization, Conv2d, LayerNormalization, MaxPool2d, Relu};

/// Name of the operator domain of [`Fused`] operators.
pub const DOMAIN: &str = "equibatch";

/// Name of the attribute that holds the shape of an output.
#[must_use]
pub fn shape_attribute(result: usize) -> String {
    format!("shape{result}")
}

/// Writes the attributes of an operator to a node, or reads them from one into the operator.
pub trait AttributeVisitor {
    /// Error of an attribute that is missing or invalid.
    type Error;

    /// A float.
    ///
    /// # Errors
    /// If the node lacks the attribute.
    fn visit_float(&mut self, name: &'static str, number: &mut f32) -> Result<(), Self::Error>;

    /// A truth value, as the integer 0 or 1.
    ///
    /// # Errors
    /// If the node lacks the attribute.
    fn visit_flag(&mut self, name: &'static str, flag: &mut bool) -> Result<(), Self::Error>;

    /// A list of extents.
    ///
    /// # Errors
    /// If the node lacks the attribute, or it has another length or a negative element.
    fn visit_extents(&mut self, name: &'static str, extents: &mut [usize]) -> Result<(), Self::Error>;

    /// One of several named values.
    ///
    /// # Errors
    /// If the node lacks the attribute, or its text is none of the names.
    fn visit_choice<T: Copy + PartialEq>(
        &mut self,
        name: &'static str,
        choice: &mut T,
        named: &[(&'static str, T)],
    ) -> Result<(), Self::Error>;

    /// Height and width of the output of four axes, which [`shape_attribute`] holds.
    ///
    /// # Errors
    /// If no output has four axes.
    fn visit_output_extent(&mut self, extent: &mut [usize; 2]) -> Result<(), Self::Error>;
}

impl Fused {
    /// Each operator once, with some attributes.
    #[must_use]
    pub fn all() -> [Self; 20] {
        let (conv, extent, kernel) = (Conv2d::default(), [1; 2], [1; 2]);
        let (input, shortcut, relu) = (ConvInput::NchwC, Shortcut::None, None);
        let norm = BatchNormalization { epsilon: 0.0 };
        let layer = LayerNormalization { epsilon: 0.0 };
        let epilogue = GradEpilogue {
            has_addend: false,
            mask: ReluMask::None,
            has_batch_mean: false,
        };
        let pool = MaxPool2d {
            kernel,
            stride: [1; 2],
            pad: [0; 2],
        };
        let (beta2, epsilon) = (0.0, 0.0);
        [
            Self::ToBlocks,
            Self::FromBlocks,
            Self::Conv { conv, input },
            Self::ExpandedConv {
                conv,
                relu: Relu::UNBOUNDED,
            },
            Self::ConvInputGradient {
                conv,
                extent,
                epilogue,
            },
            Self::ConvWeightGradient { conv, kernel, input },
            Self::ScaleShift(norm),
            Self::Normalize { shortcut, relu },
            Self::GradEpilogue(epilogue),
            Self::BatchNormGradient(norm),
            Self::MaxPool(pool),
            Self::MaxPoolGradient(pool),
            Self::LayerNorm(layer),
            Self::LayerNormGradient(layer),
            Self::Gelu,
            Self::GeluGradient,
            Self::SoftmaxGradient,
            Self::AdamW(AdamW { beta2, epsilon }),
            Self::CudnnInputGradient { conv, extent },
            Self::CudnnWeightGradient { conv, kernel },
        ]
    }

    /// Name of the operator in its domain.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ToBlocks => "ToBlocks",
            Self::FromBlocks => "FromBlocks",
            Self::Conv { .. } => "Conv",
            Self::ExpandedConv { .. } => "ExpandedConv",
            Self::ConvInputGradient { .. } => "ConvInputGradient",
            Self::ConvWeightGradient { .. } => "ConvWeightGradient",
            Self::ScaleShift(_) => "Affine",
            Self::Normalize { .. } => "Normalize",
            Self::GradEpilogue(_) => "Arrive",
            Self::BatchNormGradient(_) => "BatchNormGradient",
            Self::MaxPool(_) => "MaxPool",
            Self::MaxPoolGradient(_) => "MaxPoolGradient",
            Self::LayerNorm(_) => "LayerNorm",
            Self::LayerNormGradient(_) => "LayerNormGradient",
            Self::Gelu => "Gelu",
            Self::GeluGradient => "GeluGradient",
            Self::SoftmaxGradient => "SoftmaxGradient",
            Self::AdamW(_) => "AdamW",
            Self::CudnnInputGradient { .. } => "CudnnConvInputGradient",
            Self::CudnnWeightGradient { .. } => "CudnnConvWeightGradient",
        }
    }

    /// Writes or reads the attributes, in the order of the node's.
    ///
    /// # Errors
    /// Those of the visitor.
    pub fn visit<V: AttributeVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        match self {
            Self::ToBlocks | Self::FromBlocks | Self::Gelu | Self::GeluGradient | Self::SoftmaxGradient => {
                Ok(())
            }
            Self::Conv { conv, input } => {
                convolution(conv, visitor)?;
                conv_input(input, visitor)
            }
            Self::ExpandedConv { conv, relu } => {
                convolution(conv, visitor)?;
                visit_relu(relu, visitor)
            }
            Self::ConvInputGradient {
                conv,
                extent,
                epilogue,
            } => {
                convolution(conv, visitor)?;
                grad_epilogue(epilogue, visitor)?;
                visitor.visit_output_extent(extent)
            }
            Self::ConvWeightGradient { conv, kernel, input } => {
                convolution(conv, visitor)?;
                conv_input(input, visitor)?;
                visitor.visit_output_extent(kernel)
            }
            Self::ScaleShift(norm) | Self::BatchNormGradient(norm) => {
                visitor.visit_float("epsilon", &mut norm.epsilon)
            }
            Self::Normalize { shortcut, relu } => {
                let named = [
                    ("none", Shortcut::None),
                    ("raw", Shortcut::Raw),
                    ("affine", Shortcut::ScaleShift),
                ];
                visitor.visit_choice("shortcut", shortcut, &named)?;
                let mut has_relu = relu.is_some();
                visitor.visit_flag("rectified", &mut has_relu)?;
                *relu = has_relu.then_some(relu.unwrap_or(Relu::UNBOUNDED));
                relu.as_mut().map_or(Ok(()), |relu| visit_relu(relu, visitor))
            }
            Self::GradEpilogue(epilogue) => grad_epilogue(epilogue, visitor),
            Self::MaxPool(pool) | Self::MaxPoolGradient(pool) => {
                visitor.visit_extents("kernel_shape", &mut pool.kernel)?;
                let mut pad_after = pool.pad;
                window(&mut pool.stride, (&mut pool.pad, &mut pad_after), visitor)
            }
            Self::LayerNorm(norm) | Self::LayerNormGradient(norm) => {
                visitor.visit_float("epsilon", &mut norm.epsilon)
            }
            Self::CudnnInputGradient { conv, extent } => {
                convolution(conv, visitor)?;
                visitor.visit_extents("dilations", &mut conv.dilation)?;
                visitor.visit_output_extent(extent)
            }
            Self::CudnnWeightGradient { conv, kernel } => {
                convolution(conv, visitor)?;
                visitor.visit_extents("dilations", &mut conv.dilation)?;
                visitor.visit_output_extent(kernel)
            }
            Self::AdamW(adamw) => {
                visitor.visit_float("beta2", &mut adamw.beta2)?;
                visitor.visit_float("epsilon", &mut adamw.epsilon)
            }
        }
    }
}

/// As ONNX encodes them: padding before and after.
fn window<V: AttributeVisitor>(
    stride: &mut [usize; 2],
    (pad, pad_after): (&mut [usize; 2], &mut [usize; 2]),
    visitor: &mut V,
) -> Result<(), V::Error> {
    let mut pads = [pad[0], pad[1], pad_after[0], pad_after[1]];
    visitor.visit_extents("pads", &mut pads)?;
    [*pad, *pad_after] = [[pads[0], pads[1]], [pads[2], pads[3]]];
    visitor.visit_extents("strides", stride)
}

fn convolution<V: AttributeVisitor>(conv: &mut Conv2d, visitor: &mut V) -> Result<(), V::Error> {
    window(&mut conv.stride, (&mut conv.pad, &mut conv.pad_after), visitor)?;
    visitor.visit_extents("group", std::slice::from_mut(&mut conv.groups))
}

fn visit_relu<V: AttributeVisitor>(relu: &mut Relu, visitor: &mut V) -> Result<(), V::Error> {
    visitor.visit_float("high", &mut relu.high)
}

fn conv_input<V: AttributeVisitor>(input: &mut ConvInput, visitor: &mut V) -> Result<(), V::Error> {
    let mut relu = Relu::UNBOUNDED;
    if let ConvInput::NchwCRelu(known) = *input {
        relu = known;
    }
    let named = [
        ("images", ConvInput::Nchw),
        ("blocks", ConvInput::NchwC),
        ("rectified", ConvInput::NchwCRelu(relu)),
    ];
    visitor.visit_choice("operand", input, &named)?;
    match input {
        ConvInput::NchwCRelu(relu) => visit_relu(relu, visitor),
        ConvInput::Nchw | ConvInput::NchwC => Ok(()),
    }
}

fn grad_epilogue<V: AttributeVisitor>(epilogue: &mut GradEpilogue, visitor: &mut V) -> Result<(), V::Error> {
    visitor.visit_flag("addend", &mut epilogue.has_addend)?;
    let mut relu = Relu::UNBOUNDED;
    if let ReluMask::Output(known) | ReluMask::ScaleShift(known) = epilogue.mask {
        relu = known;
    }
    let named = [
        ("none", ReluMask::None),
        ("result", ReluMask::Output(relu)),
        ("affine", ReluMask::ScaleShift(relu)),
    ];
    visitor.visit_choice("gate", &mut epilogue.mask, &named)?;
    if let ReluMask::Output(relu) | ReluMask::ScaleShift(relu) = &mut epilogue.mask {
        visit_relu(relu, visitor)?;
    }
    visitor.visit_flag("centre", &mut epilogue.has_batch_mean)
}

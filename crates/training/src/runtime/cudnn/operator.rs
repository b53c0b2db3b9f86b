#![allow(unsafe_code, reason = "functions of cuDNN are called")]

use std::ptr;

use ort::{
    ep::{CUDA, ExecutionProvider as _, cuda::resource},
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
    operator::{ComputeContext, Kernel, KernelContext, OperatorInput, OperatorOutput, ShapeInferenceContext},
    value::{DynTensorValueType, TensorElementType},
};

use super::algorithm::Ranked;
use super::convolution::Convolution;
use super::plan::{Gradient, Plan};
use crate::graph::{Fused, op::Conv2d};
use crate::runtime::operators::{infer_shapes, read_attributes};

/// A custom operator of the CUDA provider, for one element type.
pub(super) struct Operator {
    pub(super) name: &'static str,
    pub(super) element_type: TensorElementType,
    /// Index of the device.
    pub(super) index: u16,
    pub(super) uses_tf32: bool,
}

impl ort::operator::Operator for Operator {
    type Kernel<'attr> = Node;

    fn name(&self) -> &str {
        self.name
    }

    fn execution_provider_type(&self) -> Option<&str> {
        Some(CUDA::NAME)
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [self.element_type; 2].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(self.element_type)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Node> {
        let (fused, shapes) = read_attributes(self.name, context)?;
        let (gradient, conv) = gradient_of(&fused)?;
        let [shape] =
            <[Vec<i64>; 1]>::try_from(shapes).map_err(|_| ort::Error::new("a gradient has one output"))?;
        Ok(Node {
            gradient,
            conv,
            shape,
            math: (self.element_type, self.uses_tf32),
            index: self.index,
            planned: None,
        })
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        infer_shapes(context, self.element_type)
    }
}

/// What an operator of cuDNN computes, and of which convolution.
pub(super) fn gradient_of(fused: &Fused) -> ort::Result<(Gradient, Conv2d)> {
    match *fused {
        Fused::CudnnInputGradient { conv, .. } => Ok((Gradient::Input, conv)),
        Fused::CudnnWeightGradient { conv, .. } => Ok((Gradient::Weight, conv)),
        _ => Err(ort::Error::new(format!(
            "{} is no operator of cuDNN",
            fused.name()
        ))),
    }
}

/// The convolution of which a node computes the gradient, from the shapes of its operands and of its result.
pub(super) fn convolution_of(
    gradient: Gradient,
    conv: Conv2d,
    operands: [&[i64]; 2],
    result: &[i64],
) -> ort::Result<Convolution> {
    match gradient {
        Gradient::Input => Convolution::new(conv, result, operands[0], operands[1]),
        Gradient::Weight => Convolution::new(conv, operands[0], result, operands[1]),
    }
}

/// A node of a session.
pub(super) struct Node {
    gradient: Gradient,
    conv: Conv2d,
    /// Shape of the output.
    shape: Vec<i64>,
    math: (TensorElementType, bool),
    index: u16,
    /// Made by the first run, which knows the shapes of the operands and cuDNN's handle: the convolution, its descriptions and the algorithm.
    planned: Option<(Convolution, Plan, Ranked)>,
}

impl Kernel for Node {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || ort::Error::new("an input or output is missing");
        let operand = |position| {
            let value = context.input(position)?.ok_or_else(missing)?;
            value.downcast::<DynTensorValueType>()
        };
        let (first, second) = (operand(0)?, operand(1)?);
        let result = context.output(0, self.shape.clone())?.ok_or_else(missing)?;
        let result = result.downcast::<DynTensorValueType>()?;
        let convolution = convolution_of(
            self.gradient,
            self.conv,
            [first.shape(), second.shape()],
            &self.shape,
        )?;
        let handle = context.resource(resource::CuDNNHandle)?;
        if handle.is_null() {
            return Err(ort::Error::new("ONNX Runtime has no handle of cuDNN"));
        }
        let planned = match self.planned.take() {
            Some(known) if known.0 == convolution => known,
            _ => {
                let plan = Plan::new(self.gradient, convolution, self.math)?;
                // SAFETY: ONNX Runtime's CUDA provider, which calls this operator, returned the handle, and it is not null.
                let algorithm = unsafe { plan.algorithm(handle)? };
                (convolution, plan, algorithm)
            }
        };
        let (_, plan, algorithm) = self.planned.insert(planned);
        let memory = MemoryInfo::new(
            AllocationDevice::CUDA,
            i32::from(self.index),
            AllocatorType::Device,
            MemoryType::Default,
        )?;
        let allocator = context.allocator(&memory)?;
        let mut workspace = match algorithm.memory {
            0 => None,
            bytes => Some(allocator.alloc::<u8>(bytes)?),
        };
        let scratch = workspace
            .as_mut()
            .map_or(ptr::null_mut(), |block| block.as_mut_ptr());
        // SAFETY: the handle is as above. The operator is declared for the CUDA provider and the element type, so ONNX Runtime passes dense tensors
        // of that type in memory of the device, and `convolution_of` checked the shapes that the plan describes. The workspace returns to the session's
        // arena before the device is done; whatever the arena gives it to is computed on the same stream, and so after this.
        unsafe {
            plan.run(
                handle,
                *algorithm,
                (first.data_ptr(), second.data_ptr()),
                (scratch, result.data_ptr().cast_mut()),
            )
        }
    }
}

use std::sync::{Arc, Mutex, PoisonError};

use ort::operator::{
    ComputeContext, Kernel, KernelContext, OperatorInput, OperatorOutput, ShapeInferenceContext,
};
use ort::value::{Shape, TensorElementType, ValueType};

use super::attributes;
use super::compute::compute;
use super::operand::Operand;
use crate::graph::Fused;
use crate::graph::fused::shape_attribute;
use crate::kernels::{ExecContext, InstructionSet, Pool, Workspace};

/// A custom operator with any number of float operands and outputs.
pub(super) struct Operator {
    pub(super) name: &'static str,
    pub(super) set: InstructionSet,
    pub(super) workspace: Arc<Mutex<Workspace>>,
}

impl ort::operator::Operator for Operator {
    type Kernel<'attr> = Node;

    fn name(&self) -> &str {
        self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::variadic(1).homogenous(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::variadic(1).homogenous(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Node> {
        let (fused, shapes) = attributes::read(self.name, context)?;
        Ok(Node {
            fused,
            shapes,
            set: self.set,
            workspace: Arc::clone(&self.workspace),
        })
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        infer_shapes(context, TensorElementType::Float32)
    }
}

/// Tells the shapes of the outputs, which are attributes of the node.
pub(in crate::runtime) fn infer_shapes(
    context: &mut ShapeInferenceContext,
    element_type: TensorElementType,
) -> ort::Result<()> {
    for result in 0.. {
        let Ok(shape) = context.attr::<Vec<i64>>(shape_attribute(result)) else {
            break;
        };
        let tensor_type = ValueType::Tensor {
            ty: element_type,
            shape: Shape::new(shape),
            dimension_symbols: ort::value::SymbolicDimensions::empty(0),
        };
        context.set_output(result, &tensor_type)?;
    }
    Ok(())
}

/// A node of a session.
pub(super) struct Node {
    fused: Fused,
    /// Shapes of the outputs.
    shapes: Vec<Vec<i64>>,
    set: InstructionSet,
    workspace: Arc<Mutex<Workspace>>,
}

impl Kernel for Node {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || ort::Error::new("an input or output is missing");
        let operands = (0..context.num_inputs()?).map(|operand| context.input(operand)?.ok_or_else(missing));
        let operands = operands.collect::<ort::Result<Vec<_>>>()?;
        let operands = operands.iter().map(|operand| {
            let (shape, data) = operand.try_extract_tensor::<f32>()?;
            Ok(Operand { shape, data })
        });
        let mut operands = operands.collect::<ort::Result<Vec<_>>>()?;
        let results = self.shapes.iter().enumerate();
        let results =
            results.map(|(result, shape)| context.output(result, shape.clone())?.ok_or_else(missing));
        let mut results = results.collect::<ort::Result<Vec<_>>>()?;
        for result in &results {
            let start = result.try_extract_tensor::<f32>()?.1.as_ptr();
            // A result in the memory of an operand is the only reference to it.
            for operand in operands
                .iter_mut()
                .filter(|operand| operand.data.as_ptr() == start)
            {
                operand.data = &[];
            }
        }
        let results = results
            .iter_mut()
            .map(|result| result.try_extract_tensor_mut::<f32>().map(|(_, data)| data));
        let mut results = results.collect::<ort::Result<Vec<_>>>()?;
        // Kernels do not rely on the workspace's content, so a panic cannot leave it invalid.
        let mut workspace = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let mut exec = ExecContext {
            set: self.set,
            pool: &Threads(context),
            workspace: &mut workspace,
        };
        compute(&self.fused, &mut exec, &operands, &mut results)
    }
}

/// Pieces of a parallel loop that threads take in turn: enough that none of up to eight waits long for another whose tasks took longer.
const PIECES: usize = 64;

/// The session's thread pool.
struct Threads<'c>(&'c ComputeContext);

#[allow(unsafe_code, reason = "the kernels' tasks rely on how they are called")]
// SAFETY: ONNX Runtime calls the body of a parallel loop with each number below `count` once, and waits for all calls.
unsafe impl Pool for Threads<'_> {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        if count > 0 {
            self.0
                .par_for(count, count.min(PIECES), task)
                .expect("ONNX Runtime rejects only loops without a body");
        }
    }
}

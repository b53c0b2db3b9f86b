//! The operators of cuDNN for sessions on a CPU, by the definition of a convolution: tests run programs for CUDA devices with them.

use ort::{
    operator::{
        ComputeContext, Kernel, KernelContext, OperatorDomain, OperatorInput, OperatorOutput,
        ShapeInferenceContext,
    },
    value::TensorElementType::Float32,
};

use super::convolution::Convolution;
use super::operator::{convolution_of, gradient_of};
use super::plan::Gradient;
use crate::graph::{Fused, op::Conv2d};
use crate::runtime::operators::{infer_shapes, read_attributes};

/// Adds the operators to a domain.
pub(in crate::runtime) fn add_to(domain: OperatorDomain) -> ort::Result<OperatorDomain> {
    let mut operators = Fused::all().into_iter().filter(Fused::is_of_cudnn);
    operators.try_fold(domain, |domain, fused| domain.add(Twin(fused.name())))
}

struct Twin(&'static str);

impl ort::operator::Operator for Twin {
    type Kernel<'attr> = Node;

    fn name(&self) -> &str {
        self.0
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [Float32; 2].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Node> {
        let (fused, mut shapes) = read_attributes(self.0, context)?;
        let (gradient, conv) = gradient_of(&fused)?;
        Ok(Node {
            gradient,
            conv,
            shape: shapes.remove(0),
        })
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        infer_shapes(context, Float32)
    }
}

struct Node {
    gradient: Gradient,
    conv: Conv2d,
    shape: Vec<i64>,
}

impl Kernel for Node {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let operands = [0, 1].map(|position| context.input(position));
        let [first, second] = operands.map(|operand| operand.expect("a context").expect("an operand"));
        let (of_first, first) = first.try_extract_tensor::<f32>()?;
        let (of_second, second) = second.try_extract_tensor::<f32>()?;
        let convolution = convolution_of(self.gradient, self.conv, [of_first, of_second], &self.shape)?;
        let mut result = context.output(0, self.shape.clone())?.expect("an output");
        let (_, result) = result.try_extract_tensor_mut::<f32>()?;
        let mut sums = vec![0.0_f64; result.len()];
        meetings(convolution, |x, w, y| {
            let (to, left, right) = match self.gradient {
                Gradient::Input => (x, first[w], second[y]),
                Gradient::Weight => (w, first[x], second[y]),
            };
            sums[to] += f64::from(left) * f64::from(right);
        });
        for (to, sum) in result.iter_mut().zip(sums) {
            *to = sum as f32;
        }
        Ok(())
    }
}

/// Calls `meet` with every triple of indices into x, w and y with `y += x · w`.
fn meetings(convolution: Convolution, mut meet: impl FnMut(usize, usize, usize)) {
    let unsigned = |number: i32| usize::try_from(number).expect("it was checked");
    let [n, c, height, width] = convolution.x.map(unsigned);
    let [k, inputs, r, s] = convolution.w.map(unsigned);
    let [_, _, rows, columns] = convolution.y.map(unsigned);
    let [pad, stride, dilation] =
        [convolution.pad, convolution.stride, convolution.dilation].map(|pair| pair.map(unsigned));
    let outputs = k / unsigned(convolution.groups);
    for y in 0..n * k * rows * columns {
        let (image, filter) = (y / columns / rows / k, y / columns / rows % k);
        let (row, column) = (y / columns % rows, y % columns);
        for tap in 0..inputs * r * s {
            let (input, i, j) = (tap / s / r, tap / s % r, tap % s);
            let i = (row * stride[0] + i * dilation[0]).wrapping_sub(pad[0]);
            let j = (column * stride[1] + j * dilation[1]).wrapping_sub(pad[1]);
            if i < height && j < width {
                let channel = filter / outputs * inputs + input;
                meet(
                    ((image * c + channel) * height + i) * width + j,
                    filter * inputs * r * s + tap,
                    y,
                );
            }
        }
    }
}

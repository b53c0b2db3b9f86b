//! Values that the backward pass computes again, so that they need not be kept.

use super::forward::first;
use super::fusion::Fusion;
use crate::graph::{Composite, Error, Fused, Node, Op, Origin, Shape, Value};

impl Fusion<'_> {
    /// The gradient of the weight of a linear layer on a GELU's output, which is its largest operand and cheap to compute from the GELU's input, which is kept
    /// for the gradient of the GELU. It is computed again once the gradient of the layer's output exists.
    pub(super) fn gelu_again(&mut self, node: &Node) -> Result<bool, Error> {
        if let (Op::Reshape(_), Some((_, [_, y]))) = (&node.op, self.reshaped_gelu(first(node))) {
            // Added by the gradients, if these are all that read it.
            let flat = first(node);
            let mut readers = self
                .from
                .nodes()
                .iter()
                .filter(|reader| reader.inputs.contains(&flat));
            let is_output = self.from.outputs().iter().any(|(_, output)| *output == flat);
            return Ok(!is_output && readers.all(|reader| self.is_weight_gradient(reader, flat, y)));
        }
        let (&Op::Gemm(gemm), &[flat, dy]) = (&node.op, &*node.inputs) else {
            return Ok(false);
        };
        let Some((shape, [x, y])) = self.reshaped_gelu(flat) else {
            return Ok(false);
        };
        if self.states[flat.index()].nchw.is_some() || !self.is_weight_gradient(node, flat, y) {
            return Ok(false);
        }
        let [x, dy] = [self.nchw(x)?, self.nchw(dy)?];
        let [again] = self.push(&node.scope, Fused::Gelu, &[x, dy])?;
        let product = self.to.scoped(&node.scope, |to| {
            let flat = to.reshape(again, shape)?;
            to.gemm(flat, dy, None, gemm)
        })?;
        self.states[first(node).index()].nchw = Some(product);
        Ok(true)
    }

    /// If a value is a reshaped GELU: its shape, and input and output of the GELU.
    fn reshaped_gelu(&self, value: Value) -> Option<(Shape, [Value; 2])> {
        let producer = |value: Value| match self.from.origin(value) {
            Origin::Node(id, _) => Some(self.from.node(*id)),
            _ => None,
        };
        let (Op::Reshape(shape), [y]) = (&producer(value)?.op, &*producer(value)?.inputs) else {
            return None;
        };
        let (Op::Composite(Composite::Gelu), [x]) = (&producer(*y)?.op, &*producer(*y)?.inputs) else {
            return None;
        };
        Some((shape.clone(), [*x, *y]))
    }

    /// Whether a node multiplies `flat` by something that depends on `y`, the GELU that it is: then it is of the backward pass.
    fn is_weight_gradient(&self, node: &Node, flat: Value, y: Value) -> bool {
        matches!((&node.op, &*node.inputs), (Op::Gemm(_), &[left, dy]) if left == flat && dy != flat && self.depends(dy, y))
    }

    fn depends(&self, value: Value, on: Value) -> bool {
        let mut is_needed = vec![false; value.index() + 1];
        is_needed[value.index()] = true;
        for node in self.from.nodes().iter().rev() {
            let is_computed = |output: Value| output.index() <= value.index() && is_needed[output.index()];
            if node.outputs().any(is_computed) {
                node.inputs
                    .iter()
                    .for_each(|input| is_needed[input.index()] = true);
            }
        }
        is_needed.get(on.index()).is_some_and(|is_needed| *is_needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::gradients;
    use crate::graph::fuse::fuse;
    use crate::graph::op::Reduce;
    use crate::graph::{Graph, TensorType};

    #[test]
    fn a_gelu_before_a_linear_layer_on_tokens_is_read_by_the_forward_pass_only() {
        let mut g = Graph::new();
        let x = g.input("x", TensorType::f32([4, 7, 5])).expect("a new name");
        let [first, second] = [("first", [5, 6]), ("second", [6, 3])]
            .map(|(name, shape)| g.parameter(name, shape).expect("a new name"));
        let inner = g.matmul(x, first).expect("shapes match");
        let y = g.gelu(inner).expect("a float");
        let outer = g.matmul(y, second).expect("shapes match");
        let axes = Reduce {
            axes: vec![0, 1, 2],
            keep_axes: false,
        };
        let loss = g.reduce_sum_square(outer, axes).expect("three axes");
        let wanted = gradients(&mut g, loss, &[first, second]).expect("differentiable");
        for (name, value) in ["d_first", "d_second"].into_iter().zip(wanted) {
            g.output(name, value).expect("a new name");
        }
        let fused = fuse(&g).expect("a valid graph");
        let gelus = fused
            .nodes()
            .iter()
            .filter(|node| node.op == Op::Fused(Fused::Gelu));
        let [forward, again] = *gelus.collect::<Vec<_>>() else {
            panic!("two GELUs");
        };
        assert_eq!([forward.inputs.len(), again.inputs.len()], [1, 2]);
        let readers = fused
            .nodes()
            .iter()
            .filter(|node| node.inputs.contains(&super::first(forward)));
        assert!(readers.map(|node| &node.op).eq([&Op::MatMul]));
    }
}

//! Fusion rules of gradient operators.

use super::forward::first;
use super::fusion::Fusion;
use super::value_state::{DeferredOp, GradSource, Gradient, MaskSource, Normalized};
use crate::graph::{Composite, Error, Fused, Node, Op, Value};

impl Fusion<'_> {
    /// Deferred: a gradient sum, a ReLU mask and a batch norm's reductions may join its epilogue.
    pub(super) fn conv_input_gradient(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::Composite(Composite::ConvInputGradient { conv, extent }), &[w, dy]) =
            (&node.op, &*node.inputs)
        else {
            return Ok(false);
        };
        let dx = first(node);
        let Some(conv) = self.fused_conv(conv, dx, dy).filter(|_| self.fits_nchwc(dx)) else {
            return Ok(false);
        };
        let (w, dy) = (self.conv_weight(w, dx)?, self.nchwc(dy)?);
        let source = GradSource::Conv { conv, extent, w, dy };
        self.defer(node, DeferredOp::Gradient(Gradient::new(source)));
        Ok(true)
    }

    pub(super) fn conv_weight_gradient(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::Composite(Composite::ConvWeightGradient { conv, kernel }), &[x, dy]) =
            (&node.op, &*node.inputs)
        else {
            return Ok(false);
        };
        let Some(conv) = self.fused_conv(conv, x, dy) else {
            return Ok(false);
        };
        let (input, mut operands) = self.conv_input(x)?;
        operands.push(self.nchwc(dy)?);
        let op = Fused::ConvWeightGradient { conv, kernel, input };
        let [dw] = self.push(&node.scope, op, &operands)?;
        self.set_sliced(first(node), dw)?;
        Ok(true)
    }

    /// A sum of gradients: one convolution's input gradient adds the others in its epilogue.
    pub(super) fn sum(&mut self, node: &Node) -> Result<bool, Error> {
        let (Op::Sum, operands) = (&node.op, &node.inputs) else {
            return Ok(false);
        };
        let is_conv_gradient = |value: &Value| match self.deferred_gradient(*value)? {
            Gradient {
                source: GradSource::Conv { w, .. },
                addend: None,
                mask: None,
            } => Some(self.to.shape(*w).elements()),
            _ => None,
        };
        // The convolution with the largest weight: materialising the gradient of a small convolution is cheaper.
        let largest = operands.iter().filter(|value| self.uses[value.index()] == 1);
        let Some(&main) = largest.max_by_key(|value| is_conv_gradient(value)) else {
            return Ok(false);
        };
        let Some(gradient) = self
            .deferred_gradient(main)
            .filter(|_| is_conv_gradient(&main).is_some())
            .cloned()
        else {
            return Ok(false);
        };
        let others = operands.iter().filter(|&&value| value != main);
        let others: Vec<Value> = others.map(|&value| self.nchwc(value)).collect::<Result<_, _>>()?;
        let addend = match *others {
            [] => None,
            [other] => Some(other),
            _ => Some(self.to.scoped(&node.scope, |to| to.sum(&others))?),
        };
        self.defer(node, DeferredOp::Gradient(Gradient { addend, ..gradient }));
        Ok(true)
    }

    /// Joins the deferred gradient as its ReLU mask.
    pub(super) fn relu_gradient(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::Composite(Composite::ReluGradient(relu)), &[y, dy]) = (&node.op, &*node.inputs) else {
            return Ok(false);
        };
        if !self.is_nchwc(y) {
            return Ok(false);
        }
        let is_its_output = |normalized: &Normalized| normalized.plain_relu() == Some(relu);
        let mask = match self.normalized(y).filter(is_its_output) {
            Some(normalized) if self.states[y.index()].nchwc.is_none() => {
                MaskSource::PreActivation(normalized)
            }
            _ => MaskSource::Output(self.nchwc(y)?),
        };
        let is_only_reader = self.uses[dy.index()] == 1;
        let open = self
            .deferred_gradient(dy)
            .filter(|gradient| gradient.mask.is_none() && is_only_reader)
            .cloned();
        let gradient = match open {
            Some(gradient) => gradient,
            None => Gradient::new(GradSource::Value(self.nchwc(dy)?)),
        };
        let mask = Some((mask, relu));
        self.defer(node, DeferredOp::Gradient(Gradient { mask, ..gradient }));
        Ok(true)
    }

    pub(super) fn batch_norm_gradient(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::Composite(Composite::BatchNormGradient(norm)), &[x, dy, scale, mean, variance]) =
            (&node.op, &*node.inputs)
        else {
            return Ok(false);
        };
        if !self.is_nchwc(x) {
            return Ok(false);
        }
        let x = self.nchwc(x)?;
        let mut statistics = [scale, mean, variance];
        for statistic in &mut statistics {
            *statistic = self.padded(*statistic, &[0])?;
        }
        let [scale, mean, variance] = statistics;
        let (g, sums) = self.gradient_with_sums(dy, [x, mean])?;
        let op = Fused::BatchNormGradient(norm);
        let [scale_gradient, bias_gradient, dx] =
            self.push(&node.scope, op, &[g, x, sums, scale, mean, variance])?;
        let [to_x, to_scale, to_bias] =
            [0, 1, 2].map(|result| node.outputs().nth(result).expect("it has three results"));
        self.states[to_x.index()].nchwc = Some(dx);
        self.set_sliced(to_scale, scale_gradient)?;
        self.set_sliced(to_bias, bias_gradient)?;
        Ok(true)
    }

    /// Fused if the max pooling was.
    pub(super) fn max_pool_gradient(&mut self, node: &Node) -> Result<bool, Error> {
        let (Op::Composite(Composite::MaxPoolGradient(_)), &[indices, dy]) = (&node.op, &*node.inputs) else {
            return Ok(false);
        };
        let Some((pool, pooled)) = self.states[indices.index()].pooled else {
            return Ok(false);
        };
        let input = self
            .normalized(pooled)
            .expect("only a batch norm's output is pooled");
        let dy = self.nchwc(dy)?;
        let source = GradSource::MaxPool { pool, input, dy };
        self.defer(node, DeferredOp::Gradient(Gradient::new(source)));
        Ok(true)
    }

    /// The deferred gradient that computes a value, if it is not materialised yet.
    fn deferred_gradient(&self, value: Value) -> Option<&Gradient> {
        let state = &self.states[value.index()];
        match &state.deferred.as_ref()?.op {
            DeferredOp::Gradient(gradient) if state.nchwc.is_none() => Some(gradient),
            _ => None,
        }
    }
}

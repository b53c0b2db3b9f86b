//! What operators of the way back make of their operands' promises. Each function says whether it took the node.

use super::Fusion;
use super::forward::first;
use super::held::{Arriving, Gradient, Normal, Promised, Rectifier};
use crate::graph::op::{BatchNormalization, Conv2d};
use crate::graph::{Error, Fused, Node, Value};

impl Fusion<'_> {
    /// Promised: other gradients, a rectifier and a batch norm may take part.
    pub(super) fn conv_input_gradient(
        &mut self,
        node: &Node,
        (conv, extent): (Conv2d, [usize; 2]),
        [w, dy]: [Value; 2],
    ) -> Result<bool, Error> {
        if !self.in_blocks(first(node)) || !self.in_blocks(dy) {
            return Ok(false);
        }
        let (w, dy) = (self.plain(w)?, self.blocks(dy)?);
        let arriving = Arriving::Conv { conv, extent, w, dy };
        self.promise(node, Promised::Gradient(Gradient::new(arriving)));
        Ok(true)
    }

    pub(super) fn conv_weight_gradient(
        &mut self,
        node: &Node,
        (conv, kernel): (Conv2d, [usize; 2]),
        [x, dy]: [Value; 2],
    ) -> Result<bool, Error> {
        if !self.in_blocks(dy) || !(self.is_image(x) || self.in_blocks(x)) {
            return Ok(false);
        }
        let (operand, mut operands) = self.operand(x)?;
        operands.push(self.blocks(dy)?);
        let op = Fused::ConvWeightGradient {
            conv,
            kernel,
            operand,
        };
        let [dw] = self.push(&node.scope, op, &operands)?;
        self.held[first(node).index()].plain = Some(dw);
        Ok(true)
    }

    /// One convolution's gradient takes the others in as it arrives.
    pub(super) fn sum(&mut self, node: &Node, operands: &[Value]) -> Result<bool, Error> {
        let arrives = |value: &Value| match self.unredeemed(*value)? {
            Gradient {
                arriving: Arriving::Conv { w, .. },
                addend: None,
                gate: None,
            } => Some(self.to.shape(*w).elements()),
            _ => None,
        };
        // The largest weight: what a small convolution passes back is sooner written down.
        let largest = operands.iter().filter(|value| self.uses[value.index()] == 1);
        let Some(&main) = largest.max_by_key(|value| arrives(value)) else {
            return self.element_by_element(node);
        };
        let Some(gradient) = self
            .unredeemed(main)
            .filter(|_| arrives(&main).is_some())
            .cloned()
        else {
            return self.element_by_element(node);
        };
        let others = operands.iter().filter(|&&value| value != main);
        let others: Vec<Value> = others
            .map(|&value| self.blocks(value))
            .collect::<Result<_, _>>()?;
        let addend = match *others {
            [] => None,
            [other] => Some(other),
            _ => Some(self.to.scoped(&node.scope, |to| to.sum(&others))?),
        };
        self.promise(node, Promised::Gradient(Gradient { addend, ..gradient }));
        Ok(true)
    }

    /// Closes the gate of the gradient that arrives.
    pub(super) fn relu_gradient(&mut self, node: &Node, y: Value, dy: Value) -> Result<bool, Error> {
        if !self.is_held(y) {
            return Ok(false);
        }
        let gate = match self.normal(y).filter(Normal::is_plain_rectifier) {
            Some(normal) if self.held[y.index()].blocks.is_none() => Rectifier::Of(normal),
            _ => Rectifier::Result(self.blocks(y)?),
        };
        let is_only_reader = self.uses[dy.index()] == 1;
        let open = self
            .unredeemed(dy)
            .filter(|gradient| gradient.gate.is_none() && is_only_reader)
            .cloned();
        let gradient = match open {
            Some(gradient) => gradient,
            None => Gradient::new(Arriving::Value(self.blocks(dy)?)),
        };
        let gate = Some(gate);
        self.promise(node, Promised::Gradient(Gradient { gate, ..gradient }));
        Ok(true)
    }

    pub(super) fn batch_norm_gradient(
        &mut self,
        node: &Node,
        norm: BatchNormalization,
        [x, dy, scale, mean, variance]: [Value; 5],
    ) -> Result<bool, Error> {
        if !self.is_held(x) {
            return Ok(false);
        }
        let x = self.blocks(x)?;
        let [scale, mean, variance] = [self.plain(scale)?, self.plain(mean)?, self.plain(variance)?];
        let (g, sums) = self.arrived(dy, [x, mean])?;
        let op = Fused::BatchNormGradient(norm);
        let [scale_gradient, bias_gradient, dx] =
            self.push(&node.scope, op, &[g, x, sums, scale, mean, variance])?;
        let [to_x, to_scale, to_bias] =
            [0, 1, 2].map(|result| node.outputs().nth(result).expect("it has three results"));
        self.held[to_x.index()].blocks = Some(dx);
        self.held[to_scale.index()].plain = Some(scale_gradient);
        self.held[to_bias.index()].plain = Some(bias_gradient);
        Ok(true)
    }

    /// Taken where the pooling was.
    pub(super) fn max_pool_gradient(
        &mut self,
        node: &Node,
        indices: Value,
        dy: Value,
    ) -> Result<bool, Error> {
        let Some((pool, pooled)) = self.held[indices.index()].pooled else {
            return Ok(false);
        };
        let of = self.normal(pooled).expect("only a normalised value is pooled");
        let dy = self.blocks(dy)?;
        let arriving = Arriving::MaxPool { pool, of, dy };
        self.promise(node, Promised::Gradient(Gradient::new(arriving)));
        Ok(true)
    }

    /// A gradient that is still a promise.
    fn unredeemed(&self, value: Value) -> Option<&Gradient> {
        let held = &self.held[value.index()];
        match &held.promise.as_ref()?.of {
            Promised::Gradient(gradient) if held.blocks.is_none() => Some(gradient),
            _ => None,
        }
    }
}

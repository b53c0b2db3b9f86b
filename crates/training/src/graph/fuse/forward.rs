//! Fusion rules of forward operators and of updates.

use super::fusion::Fusion;
use super::value_state::{Deferred, DeferredOp, Normalized};
use crate::graph::op::{AdamW, Relu};
use crate::graph::{Composite, Error, Fused, Node, Op, Value};

impl Fusion<'_> {
    /// Deferred: a following batch norm may need the statistics of its output.
    pub(super) fn conv(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::Conv(conv), &[x, w]) = (&node.op, &*node.inputs) else {
            return Ok(false);
        };
        let Some(conv) = self.fused_conv(conv, x, first(node)) else {
            return Ok(false);
        };
        let w = self.conv_weight(w, x)?;
        self.defer(node, DeferredOp::Conv { conv, x, w });
        Ok(true)
    }

    /// Deferred as a scale and shift per channel; the preceding convolution computes the statistics.
    pub(super) fn batch_norm(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::Composite(Composite::BatchNorm(norm)), &[x, scale, bias]) = (&node.op, &*node.inputs)
        else {
            return Ok(false);
        };
        let Some([mean, variance]) = self.statistics(x)? else {
            return Ok(false);
        };
        let x = self.nchwc(x)?;
        let [scale, bias] = [self.padded(scale, &[0])?, self.padded(bias, &[0])?];
        let [scale_shift] = self.push(
            &node.scope,
            Fused::ScaleShift(norm),
            &[scale, bias, mean, variance],
        )?;
        self.defer(
            node,
            DeferredOp::Normalized(Normalized {
                x,
                scale_shift,
                mean,
                shortcut: None,
                relu: None,
            }),
        );
        for (output, statistic) in node.outputs().skip(1).zip([mean, variance]) {
            self.states[output.index()].padded = Some(statistic);
            self.set_sliced(output, statistic)?;
        }
        Ok(true)
    }

    /// Deferred as a scale and shift per channel, of running statistics.
    pub(super) fn fixed_batch_norm(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::BatchNormalization(norm), &[x, ref parameters @ ..]) = (&node.op, &*node.inputs) else {
            return Ok(false);
        };
        if !self.is_nchwc(x) {
            return Ok(false);
        }
        let x = self.nchwc(x)?;
        let parameters = parameters.iter().map(|&parameter| self.padded(parameter, &[0]));
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let [scale_shift] = self.push(&node.scope, Fused::ScaleShift(norm), &parameters)?;
        let normalized = Normalized {
            x,
            scale_shift,
            mean: parameters[2],
            shortcut: None,
            relu: None,
        };
        self.defer(node, DeferredOp::Normalized(normalized));
        Ok(true)
    }

    /// Joins a deferred batch norm.
    pub(super) fn relu(&mut self, node: &Node) -> Result<bool, Error> {
        let (relu @ Some(_), &[x]) = (node.op.as_relu(), &*node.inputs) else {
            return Ok(false);
        };
        match self.normalized(x) {
            Some(normalized) if normalized.relu.is_none() => {
                self.defer(node, DeferredOp::Normalized(Normalized { relu, ..normalized }));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The shortcut of a residual block joins the branch's deferred batch norm.
    pub(super) fn add(&mut self, node: &Node) -> Result<bool, Error> {
        let (Op::Add, &[left, right]) = (&node.op, &*node.inputs) else {
            return Ok(false);
        };
        if self.from.shape(left) != self.from.shape(right) || !self.fits_nchwc(left) {
            return Ok(false);
        }
        let open = |normalized: &Normalized| normalized.relu.is_none() && normalized.shortcut.is_none();
        for (branch, shortcut) in [(left, right), (right, left)] {
            let Some(normalized) = self.normalized(branch).filter(open) else {
                continue;
            };
            let shortcut = match self.normalized(shortcut).filter(open) {
                Some(other) if self.states[shortcut.index()].nchwc.is_none() => {
                    (other.x, Some(other.scale_shift))
                }
                _ => (self.nchwc(shortcut)?, None),
            };
            let shortcut = Some(shortcut);
            self.defer(
                node,
                DeferredOp::Normalized(Normalized {
                    shortcut,
                    ..normalized
                }),
            );
            return Ok(true);
        }
        Ok(false)
    }

    /// Fused with the preceding ReLU and batch norm, if the backward pass can be fused as well.
    pub(super) fn max_pool(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::MaxPool(pool), &[x]) = (&node.op, &*node.inputs) else {
            return Ok(false);
        };
        let is_relu = |normalized: &Normalized| normalized.plain_relu() == Some(Relu::UNBOUNDED);
        let Some(normalized) = self.normalized(x).filter(is_relu) else {
            return Ok(false);
        };
        let [y, indices] = [0, 1].map(|result| node.outputs().nth(result).expect("it has two results"));
        if !self.feeds_only_relu_gradient(indices, x) {
            return Ok(false);
        }
        let [pooled] = self.push(
            &node.scope,
            Fused::MaxPool(pool),
            &[normalized.x, normalized.scale_shift],
        )?;
        self.states[y.index()].nchwc = Some(pooled);
        self.states[indices.index()].pooled = Some((pool, x));
        Ok(true)
    }

    /// Whether the gradient of the max pooling with these indices is used only by the gradient of the ReLU whose output is `active`.
    fn feeds_only_relu_gradient(&self, indices: Value, active: Value) -> bool {
        let reads = |node: &&Node, value: Value| node.inputs.contains(&value);
        let nodes = self.from.nodes();
        let mut readers = nodes.iter().filter(|node| reads(node, indices));
        let is_output = |value: Value| self.from.outputs().iter().any(|(_, output)| *output == value);
        !is_output(indices)
            && readers.all(|gradient| {
                let passed = first(gradient);
                let mut after = nodes.iter().filter(|node| reads(node, passed));
                matches!(gradient.op, Op::Composite(Composite::MaxPoolGradient(_)))
                    && !is_output(passed)
                    && after.all(|node| {
                        matches!(node.op, Op::Composite(Composite::ReluGradient(_)))
                            && node.inputs == [active, passed]
                    })
            })
    }

    /// Applied in NCHWc layout if all operands have one shape and some operand has that layout.
    pub(super) fn elementwise(&mut self, node: &Node) -> Result<bool, Error> {
        if !matches!(node.op, Op::Add | Op::Sum) && node.op.as_relu().is_none() {
            return Ok(false);
        }
        let output = first(node);
        let shape = self.from.shape(output);
        let alike = |input: &Value| self.from.shape(*input) == shape;
        let is_nchwc = |input: &Value| self.is_nchwc(*input);
        if !self.fits_nchwc(output) || !node.inputs.iter().all(alike) || !node.inputs.iter().any(is_nchwc) {
            return Ok(false);
        }
        let inputs = node.inputs.iter().map(|&input| self.nchwc(input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let result = self
            .to
            .scoped(&node.scope, |to| to.single(node.op.clone(), &inputs))?;
        self.states[output.index()].nchwc = Some(result);
        Ok(true)
    }

    /// A composite that an operator of ours computes in one pass, in the usual layout.
    pub(super) fn one_pass(&mut self, node: &Node) -> Result<bool, Error> {
        let Op::Composite(composite) = &node.op else {
            return Ok(false);
        };
        let fused = match *composite {
            Composite::LayerNorm(norm) => Fused::LayerNorm(norm),
            Composite::LayerNormGradient(norm) => Fused::LayerNormGradient(norm),
            Composite::Gelu => Fused::Gelu,
            Composite::GeluGradient => Fused::GeluGradient,
            Composite::SoftmaxGradient => Fused::SoftmaxGradient,
            Composite::AdamW(adamw) => return self.adamw(node, adamw),
            _ => return Ok(false),
        };
        self.copy(node, Op::Fused(fused))?;
        Ok(true)
    }

    /// Depends on the finiteness of loss and gradients, if the step has told it before: see [`Fused::AdamW`].
    fn adamw(&mut self, node: &Node, adamw: AdamW) -> Result<bool, Error> {
        let told = ["is_finite", "loss"].map(|name| {
            let mut outputs = self.from.outputs().iter();
            let output =
                outputs.find(|(output, value)| output == name && value.index() < first(node).index());
            output.map(|(_, value)| *value)
        });
        let told: Option<Vec<Value>> = told.into_iter().collect();
        let operands = node.inputs.iter().copied().chain(told.into_iter().flatten());
        let operands = operands.map(|operand| self.nchw(operand));
        let operands = operands.collect::<Result<Vec<_>, _>>()?;
        let results = self.push::<3>(&node.scope, Fused::AdamW(adamw), &operands)?;
        for (output, result) in node.outputs().zip(results) {
            self.states[output.index()].nchw = Some(result);
        }
        Ok(true)
    }

    /// The deferred batch norm that computes a value, if it is one.
    pub(super) fn normalized(&self, value: Value) -> Option<Normalized> {
        match self.states[value.index()].deferred.as_ref()?.op {
            DeferredOp::Normalized(normalized) => Some(normalized),
            DeferredOp::Conv { .. } | DeferredOp::Gradient(_) => None,
        }
    }

    pub(super) fn defer(&mut self, node: &Node, op: DeferredOp) {
        let scope = node.scope.clone();
        self.states[first(node).index()].deferred = Some(Deferred { scope, op });
    }
}

/// A node's first output.
pub(super) fn first(node: &Node) -> Value {
    node.outputs().next().expect("every operator has an output")
}

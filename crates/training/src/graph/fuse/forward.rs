//! What operators of a model make of their operands' promises. Each function says whether it took the node.

use super::Fusion;
use super::held::{Normal, Promise, Promised};
use crate::graph::op::{BatchNormalization, Conv2d, MaxPool2d};
use crate::graph::{Composite, Error, Fused, Node, Op, Value};

impl Fusion<'_> {
    /// Promised: a batch norm may ask for the statistics of its result.
    pub(super) fn conv(&mut self, node: &Node, conv: Conv2d, [x, w]: [Value; 2]) -> Result<bool, Error> {
        let output = first(node);
        if !self.in_blocks(output) || !(self.is_image(x) || self.in_blocks(x)) {
            return Ok(false);
        }
        let w = self.plain(w)?;
        self.promise(node, Promised::Conv { conv, x, w });
        Ok(true)
    }

    /// Promised, as a scale and shift per channel: statistics come from the convolution before it.
    pub(super) fn batch_norm(
        &mut self,
        node: &Node,
        norm: BatchNormalization,
        [x, scale, bias]: [Value; 3],
    ) -> Result<bool, Error> {
        let Some([mean, variance]) = self.statistics(x)? else {
            return Ok(false);
        };
        let x = self.blocks(x)?;
        let [scale, bias] = [self.plain(scale)?, self.plain(bias)?];
        let [affine] = self.push(&node.scope, Fused::Affine(norm), &[scale, bias, mean, variance])?;
        self.promise(
            node,
            Promised::Normal(Normal {
                x,
                affine,
                mean,
                shortcut: None,
                is_rectified: false,
            }),
        );
        for (output, statistic) in node.outputs().skip(1).zip([mean, variance]) {
            self.held[output.index()].plain = Some(statistic);
        }
        Ok(true)
    }

    /// Part of what is promised of its operand.
    pub(super) fn relu(&mut self, node: &Node, x: Value) -> Result<bool, Error> {
        match self.normal(x) {
            Some(normal) if !normal.is_rectified => {
                let is_rectified = true;
                self.promise(
                    node,
                    Promised::Normal(Normal {
                        is_rectified,
                        ..normal
                    }),
                );
                Ok(true)
            }
            _ => self.element_by_element(node),
        }
    }

    /// The shortcut of a residual block becomes part of what is promised of the branch.
    pub(super) fn add(&mut self, node: &Node, [left, right]: [Value; 2]) -> Result<bool, Error> {
        if self.from.shape(left) != self.from.shape(right) || !self.in_blocks(left) {
            return Ok(false);
        }
        let open = |normal: &Normal| !normal.is_rectified && normal.shortcut.is_none();
        for (branch, shortcut) in [(left, right), (right, left)] {
            let Some(normal) = self.normal(branch).filter(open) else {
                continue;
            };
            let shortcut = match self.normal(shortcut).filter(open) {
                Some(other) if self.held[shortcut.index()].blocks.is_none() => (other.x, Some(other.affine)),
                _ => (self.blocks(shortcut)?, None),
            };
            let shortcut = Some(shortcut);
            self.promise(node, Promised::Normal(Normal { shortcut, ..normal }));
            return Ok(true);
        }
        self.element_by_element(node)
    }

    /// Fused with the rectifier and batch norm before it, if the way back is too.
    pub(super) fn max_pool(&mut self, node: &Node, pool: MaxPool2d, x: Value) -> Result<bool, Error> {
        let Some(normal) = self.normal(x).filter(Normal::is_plain_rectifier) else {
            return Ok(false);
        };
        let [y, indices] = [0, 1].map(|result| node.outputs().nth(result).expect("it has two results"));
        if !self.leads_back_to_rectifier(indices, x) {
            return Ok(false);
        }
        let [pooled] = self.push(&node.scope, Fused::MaxPool(pool), &[normal.x, normal.affine])?;
        self.held[y.index()].blocks = Some(pooled);
        self.held[indices.index()].pooled = Some((pool, x));
        Ok(true)
    }

    /// Whether what max pooling passes back by these indices is read by the gradient of the rectifier with result `rectified`, and by
    /// nobody else.
    fn leads_back_to_rectifier(&self, indices: Value, rectified: Value) -> bool {
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
                        matches!(node.op, Op::Composite(Composite::ReluGradient))
                            && node.inputs == [rectified, passed]
                    })
            })
    }

    /// Works on blocks as it would in plain order, where all operands are in blocks and of one shape.
    pub(super) fn element_by_element(&mut self, node: &Node) -> Result<bool, Error> {
        let output = first(node);
        let shape = self.from.shape(output);
        let alike = |input: &Value| self.from.shape(*input) == shape;
        let held = |input: &Value| self.is_held(*input);
        if !self.in_blocks(output) || !node.inputs.iter().all(alike) || !node.inputs.iter().any(held) {
            return Ok(false);
        }
        let inputs = node.inputs.iter().map(|&input| self.blocks(input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let result = self
            .to
            .scoped(&node.scope, |to| to.single(node.op.clone(), &inputs))?;
        self.held[output.index()].blocks = Some(result);
        Ok(true)
    }

    /// What is promised of a value, if it is normalised.
    pub(super) fn normal(&self, value: Value) -> Option<Normal> {
        match self.held[value.index()].promise.as_ref()?.of {
            Promised::Normal(normal) => Some(normal),
            Promised::Conv { .. } | Promised::Gradient(_) => None,
        }
    }

    pub(super) fn promise(&mut self, node: &Node, of: Promised) {
        let scope = node.scope.clone();
        self.held[first(node).index()].promise = Some(Promise { scope, of });
    }
}

/// A node's first result.
pub(super) fn first(node: &Node) -> Value {
    node.outputs().next().expect("every operator has a result")
}

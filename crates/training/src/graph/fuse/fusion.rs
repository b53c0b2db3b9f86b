use super::value_state::ValueState;
use crate::graph::op::{Conv2d, Pad, Slice};
use crate::graph::{ElementType, Error, Fused, Graph, Node, Op, Value};

/// State of the pass: the original graph, the new graph, and the state of each value.
pub(super) struct Fusion<'g> {
    pub(super) from: &'g Graph,
    pub(super) to: Graph,
    pub(super) uses: Vec<usize>,
    /// Per value of the original graph.
    pub(super) states: Vec<ValueState>,
}

impl<'g> Fusion<'g> {
    pub(super) fn new(graph: &'g Graph) -> Self {
        Self {
            from: graph,
            to: Graph::new(),
            uses: graph.uses(),
            states: vec![ValueState::default(); graph.values().len()],
        }
    }

    /// Adds a node with an operator on operands in NCHW layout.
    pub(super) fn copy(&mut self, node: &Node, op: Op) -> Result<(), Error> {
        let inputs = node.inputs.iter().map(|&input| self.nchw(input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let results = self.to.scoped(&node.scope, |to| to.push(op, &inputs))?;
        for (output, result) in node.outputs().zip(results) {
            self.states[output.index()].nchw = Some(result);
        }
        Ok(())
    }

    /// Whether a value can have NCHWc layout: f32, four axes, at least sixteen channels. In the new graph the channels are padded with zeros to
    /// a multiple of sixteen.
    pub(super) fn fits_nchwc(&self, value: Value) -> bool {
        let tensor_type = self.from.tensor_type(value);
        tensor_type.element_type == ElementType::F32
            && matches!(*tensor_type.shape, [_, channels, _, _] if channels >= 16)
    }

    /// The convolution of `x` to `y` in the new graph, if it can be fused.
    pub(super) fn fused_conv(&self, conv: Conv2d, x: Value, y: Value) -> Option<Conv2d> {
        if !self.fits_nchwc(y) {
            return None;
        }
        if conv.is_dense() {
            return (self.is_image(x) || self.fits_nchwc(x)).then_some(conv);
        }
        let channels = [x, y].map(|value| self.from.shape(value)[1]);
        let groups = conv.groups.next_multiple_of(16);
        conv.is_depthwise(channels).then_some(Conv2d { groups, ..conv })
    }

    /// The weight of a fused convolution of `x` in the new graph.
    pub(super) fn conv_weight(&mut self, w: Value, x: Value) -> Result<Value, Error> {
        let is_dense = self.from.shape(w)[1] > 1;
        let axes: &[usize] = if is_dense && !self.is_image(x) {
            &[0, 1]
        } else {
            &[0]
        };
        self.padded(w, axes)
    }

    /// A value in NCHW layout, padded with zeros to a multiple of sixteen along axes of channels.
    pub(super) fn padded(&mut self, value: Value, axes: &[usize]) -> Result<Value, Error> {
        if let Some(padded) = self.states[value.index()].padded {
            return Ok(padded);
        }
        let nchw = self.nchw(value)?;
        let padded = self.with_padding(nchw, axes)?;
        self.states[value.index()].padded = Some(padded);
        Ok(padded)
    }

    /// A value of the new graph, padded with zeros to a multiple of sixteen along axes of channels.
    pub(super) fn with_padding(&mut self, value: Value, axes: &[usize]) -> Result<Value, Error> {
        let shape = self.to.shape(value).clone();
        let (before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
        for &axis in axes {
            after[axis] = shape[axis].next_multiple_of(16) - shape[axis];
        }
        if after == before {
            return Ok(value);
        }
        let pad = Pad { before, after };
        self.to.scoped("layout", |to| to.single(Op::Pad(pad), &[value]))
    }

    /// Sets the NCHW value of `value` to the part of `padded`, a value of the new graph, that is not padding; returns it.
    pub(super) fn set_sliced(&mut self, value: Value, padded: Value) -> Result<Value, Error> {
        let shape = self.from.shape(value);
        let sliced = if self.to.shape(padded) == shape {
            padded
        } else {
            let slice = Slice::whole(shape);
            self.to
                .scoped("layout", |to| to.single(Op::Slice(slice), &[padded]))?
        };
        self.states[value.index()].nchw = Some(sliced);
        Ok(sliced)
    }

    /// Whether a value is f32 `[N, C, H, W]` with fewer than sixteen channels.
    pub(super) fn is_image(&self, value: Value) -> bool {
        let tensor_type = self.from.tensor_type(value);
        tensor_type.element_type == ElementType::F32 && matches!(*tensor_type.shape, [_, 1..16, _, _])
    }

    /// Whether a value exists in NCHWc layout, or is deferred and will.
    pub(super) fn is_nchwc(&self, value: Value) -> bool {
        let state = &self.states[value.index()];
        state.nchwc.is_some() || state.deferred.is_some()
    }

    pub(super) fn push<const COUNT: usize>(
        &mut self,
        scope: &str,
        op: Fused,
        operands: &[Value],
    ) -> Result<[Value; COUNT], Error> {
        self.to.scoped(scope, |to| to.several(Op::Fused(op), operands))
    }
}

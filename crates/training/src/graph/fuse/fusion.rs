use super::value_state::ValueState;
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
            uses: uses(graph),
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

    /// Whether a value can have NCHWc layout: f32, four axes, channels a multiple of sixteen.
    pub(super) fn fits_nchwc(&self, value: Value) -> bool {
        let tensor_type = self.from.tensor_type(value);
        tensor_type.element_type == ElementType::F32
            && matches!(*tensor_type.shape, [_, channels, _, _] if channels % 16 == 0)
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

/// Number of uses of each value, by nodes and as an output.
fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.values().len()];
    let outputs = graph.outputs().iter().map(|(_, value)| value);
    for value in graph.nodes().iter().flat_map(|node| &node.inputs).chain(outputs) {
        uses[value.index()] += 1;
    }
    uses
}

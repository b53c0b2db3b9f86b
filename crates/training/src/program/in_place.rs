//! Which state a step can update in its own memory.

use super::Signature;
use crate::graph::{Fused, Graph, Node, Op, Origin, Value};

/// Marks parameters and moments that a fused optimizer updates, if every other reader precedes the finiteness of loss and gradients, on which the
/// update depends: then all have read them before they are overwritten.
pub(super) fn mark(graph: &Graph, signature: &mut Signature) {
    let nodes = graph.nodes();
    let updates = nodes.iter().filter(|node| conditions(node).is_some());
    let mut is_before = vec![false; graph.values().len()];
    for condition in updates.filter_map(conditions).flatten() {
        is_before[condition.index()] = true;
    }
    for node in nodes.iter().rev() {
        if node.outputs().any(|output| is_before[output.index()]) {
            node.inputs
                .iter()
                .for_each(|input| is_before[input.index()] = true);
        }
    }
    for pair in &mut signature.state {
        let (value, output) = (graph.named(&pair.input), pair.output.as_ref());
        let Some((value, output)) = value.zip(output) else {
            continue;
        };
        let mut outputs = graph.outputs().iter();
        let next = outputs.find_map(|(name, next)| (name == output).then_some(*next));
        let Some(Origin::Node(id, result)) = next.map(|next| graph.origin(next)) else {
            continue;
        };
        let update = graph.node(*id);
        let operand = [0, 2, 3]
            .get(*result)
            .and_then(|&operand: &usize| update.inputs.get(operand));
        pair.is_in_place = conditions(update).is_some()
            && operand == Some(&value)
            && update.inputs.iter().filter(|&&input| input == value).count() == 1
            && graph.outputs().iter().all(|(_, output)| *output != value)
            && are_before(graph, &is_before, value, update);
    }
}

/// The operands that say whether loss and gradients are finite.
fn conditions(node: &Node) -> Option<&[Value]> {
    let is_update = matches!(node.op, Op::Fused(Fused::AdamW(_)));
    node.inputs
        .get(9..)
        .filter(|conditions| is_update && !conditions.is_empty())
}

/// Whether all readers of a value but `update` are before, and so are the readers of what may be a view of it.
fn are_before(graph: &Graph, is_before: &[bool], value: Value, update: &Node) -> bool {
    let mut readers = graph.nodes().iter().filter(|node| node.inputs.contains(&value));
    readers.all(|reader| {
        reader.outputs().eq(update.outputs())
            || (reader.outputs().any(|output| is_before[output.index()])
                && (!is_layout(&reader.op)
                    || reader
                        .outputs()
                        .all(|view| are_before(graph, is_before, view, update))))
    })
}

/// Whether an operator only moves elements, so that its reader may be made to read its operand.
fn is_layout(op: &Op) -> bool {
    matches!(
        op,
        Op::Cast(_)
            | Op::Reshape(_)
            | Op::Flatten
            | Op::Transpose(_)
            | Op::Expand(_)
            | Op::Concat(_)
            | Op::Slice(_)
            | Op::Gather(_)
            | Op::Flip(_)
            | Op::Pad(_)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::graph::lower::Kernels;
    use crate::graph::op::{AdamW, Reduce};
    use crate::program::{Backbone, ResNet, Role, StatePair, TrainSpec, train_parts, train_step};

    fn spec(kernels: Kernels) -> TrainSpec {
        TrainSpec {
            kernels,
            ..TrainSpec::new(ResNet::new(Backbone::RESNET18, 3), 2)
        }
    }

    #[test]
    fn a_fused_step_updates_parameters_and_moments_in_place_and_statistics_not() {
        let signature = train_step(&spec(Kernels::CpuFused)).expect("a step").signature;
        for pair in &signature.state {
            let is_update = matches!(pair.role, Role::Parameter | Role::Optimizer);
            assert_eq!(pair.is_in_place, is_update, "{}", pair.name);
        }
    }

    /// The update of accumulated gradients does not know the loss, and may be rolled back for it.
    #[test]
    fn other_steps_update_nothing_in_place() {
        let standard = train_step(&spec(Kernels::Cpu)).expect("a step");
        let parts = train_parts(&spec(Kernels::CpuFused)).expect("two programs");
        for program in [standard, parts.gradients, parts.update] {
            let mut state = program.signature.state.iter();
            assert!(state.all(|pair| !pair.is_in_place));
        }
    }

    #[test]
    fn a_parameter_that_may_be_read_after_the_update_is_not_updated_in_place() {
        let mut g = Graph::new();
        let parameter = |g: &mut Graph, name: &str| g.parameter(name, [4]).expect("a name");
        let [p, m, v] = ["p", "m", "v"].map(|name| parameter(&mut g, name));
        let gradient = g.mul(p, p).expect("equal shapes");
        let axes = Reduce {
            axes: vec![0],
            keep_axes: false,
        };
        let loss = g.reduce_sum_square(gradient, axes).expect("floats");
        let number = g.scalar(0.5);
        let operands = [&[p, gradient, m, v][..], &[number; 5], &[loss, loss]].concat();
        let update = Op::Fused(Fused::AdamW(AdamW {
            beta2: 0.99,
            epsilon: 1e-8,
        }));
        let [next, ..] = *g.push(update, &operands).expect("an update") else {
            unreachable!("it has three results")
        };
        let view = g.reshape(p, [2, 2].into()).expect("four elements");
        let read = g.neg(view).expect("a float");
        g.output("read", read).expect("a name");
        g.output("p.next", next).expect("a name");
        let mut signature = Signature {
            state: vec![StatePair {
                name: "p".to_owned(),
                input: "p".to_owned(),
                output: Some("p.next".to_owned()),
                is_in_place: false,
                shape: [4].into(),
                members: vec![],
                role: Role::Parameter,
            }],
            ..Signature::default()
        };
        mark(&g, &mut signature);
        assert!(!signature.state[0].is_in_place, "a later reader is in the graph");
        let mut without = Graph::new();
        let mut copies = HashMap::new();
        g.copy_into(&mut without, &[next], &mut copies).expect("names");
        without.output("p.next", copies[&next]).expect("a name");
        mark(&without, &mut signature);
        assert!(signature.state[0].is_in_place);
    }
}

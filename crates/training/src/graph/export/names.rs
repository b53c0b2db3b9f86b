//! Names of nodes and values in an exported model: `scope/Operator`, with a number if repeated.

use std::collections::{HashMap, HashSet};

use crate::graph::onnx::CONSTANT;
use crate::graph::{Graph, Node, Origin, Value};

pub(super) struct Names {
    values: Vec<String>,
    /// By the node's first output.
    nodes: HashMap<Value, String>,
}

impl Names {
    /// Assigns all names: inputs, parameters and outputs as declared, all others by scope.
    pub(super) fn new(graph: &Graph) -> Self {
        let mut taken: HashSet<String> = graph.outputs().iter().map(|(name, _)| name.clone()).collect();
        let mut values = vec![String::new(); graph.values().len()];
        for value in graph.values() {
            match graph.origin(value) {
                Origin::Input(name) | Origin::Parameter(name) => {
                    taken.insert(name.clone());
                    values[value.index()].clone_from(name);
                }
                Origin::Constant(_) => values[value.index()] = format!("{CONSTANT}{}", value.index()),
                Origin::Node(..) => {}
            }
        }
        for (name, value) in graph.outputs() {
            if values[value.index()].is_empty() {
                values[value.index()].clone_from(name);
            }
        }
        let mut nodes = HashMap::new();
        let mut repeats = HashMap::new();
        for node in graph.nodes() {
            let name = unique(node, &mut taken, &mut repeats);
            for (position, output) in node.outputs().enumerate() {
                let slot = &mut values[output.index()];
                if slot.is_empty() {
                    *slot = if position == 0 {
                        name.clone()
                    } else {
                        format!("{name}.{position}")
                    };
                }
            }
            nodes.extend(node.outputs().next().map(|first| (first, name)));
        }
        Self { values, nodes }
    }

    /// The name of a value.
    pub(super) fn of(&self, value: Value) -> &str {
        &self.values[value.index()]
    }

    /// The name of a node.
    pub(super) fn of_node(&self, node: &Node) -> &str {
        node.outputs().next().map_or("", |first| &self.nodes[&first])
    }
}

fn unique(node: &Node, taken: &mut HashSet<String>, repeats: &mut HashMap<String, usize>) -> String {
    let plain = if node.scope.is_empty() {
        node.op.name().to_owned()
    } else {
        format!("{}/{}", node.scope, node.op.name())
    };
    let repeat = repeats.entry(plain.clone()).or_insert(0);
    loop {
        let name = if *repeat == 0 {
            plain.clone()
        } else {
            format!("{plain}_{repeat}")
        };
        *repeat += 1;
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

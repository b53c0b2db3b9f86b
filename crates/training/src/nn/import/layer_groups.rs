//! Assigns the nodes of an imported network to layer groups.

use std::collections::{HashMap, HashSet};

use super::operators;
use crate::graph::import::{Model, ModelNode};
use crate::nn::LayerGroup;

/// The layer group of each node of a model, by its position.
///
/// # The head
/// Searched backwards from the logits: the last layer with a weight, and before it linear layers and unary elementwise operators. The search
/// stops at pooling, flattening, selection of tokens, convolutions and joining branches. If the whole network matches, only its last layer is the
/// head.
///
/// # The body
/// A node's depth is the number of layers with weights on the longest path to it. A LayerNormalization whose output is read, directly or through
/// unary nodes, by layers only has the depth of the first of them: it opens their block (pre-norm). The deeper half of the body is
/// [`LayerGroup::Late`].
pub(super) struct NodeGroups(Vec<LayerGroup>);

impl NodeGroups {
    pub(super) fn of(model: &Model, logits: &str) -> Self {
        let mut dataflow = Dataflow::of(model);
        let head = dataflow.head(logits);
        let body = (0..model.nodes.len()).filter(|position| !head.contains(position));
        let deepest = body.map(|position| dataflow.depths[position]).max().unwrap_or(0);
        dataflow.join_norms_with_layers();
        let group = |position: usize| {
            if head.contains(&position) {
                LayerGroup::Head
            } else if dataflow.depths[position] > deepest.div_ceil(2) {
                LayerGroup::Late
            } else {
                LayerGroup::Early
            }
        };
        let mut groups: Vec<LayerGroup> = (0..model.nodes.len()).map(group).collect();
        // A node computed from weights alone, such as a transpose, gets the group of the first layer that reads it.
        let mut readers: HashMap<&str, LayerGroup> = HashMap::new();
        for (position, node) in model.nodes.iter().enumerate().rev() {
            let wanted = node.outputs.iter().find_map(|output| readers.get(&**output));
            if let (true, Some(&group)) = (dataflow.is_fixed(node), wanted) {
                groups[position] = group;
            }
            let fixed = node
                .inputs
                .iter()
                .filter(|input| dataflow.fixed.contains(&***input));
            readers.extend(fixed.map(|input| (&**input, groups[position])));
        }
        Self(groups)
    }

    pub(super) fn at(&self, position: usize) -> LayerGroup {
        self.0[position]
    }
}

/// Data flow of a model, without shapes.
struct Dataflow<'m> {
    nodes: &'m [ModelNode],
    /// Index of the node that computes a value.
    producers: HashMap<&'m str, usize>,
    /// Values that do not depend on the images.
    fixed: HashSet<&'m str>,
    /// Depth of each node.
    depths: Vec<usize>,
}

impl<'m> Dataflow<'m> {
    fn of(model: &'m Model) -> Self {
        let mut dataflow = Self {
            nodes: &model.nodes,
            producers: HashMap::new(),
            fixed: model.initializers.keys().map(String::as_str).collect(),
            depths: Vec::with_capacity(model.nodes.len()),
        };
        let mut reached: HashMap<&str, usize> = HashMap::new();
        for (position, node) in model.nodes.iter().enumerate() {
            let inputs = node.inputs.iter().filter_map(|input| reached.get(&**input));
            let depth = inputs.max().copied().unwrap_or(0) + usize::from(dataflow.is_layer(node));
            let is_fixed = dataflow.is_fixed(node);
            for output in &node.outputs {
                dataflow.producers.insert(output, position);
                reached.insert(output, depth);
                if is_fixed {
                    dataflow.fixed.insert(output);
                }
            }
            dataflow.depths.push(depth);
        }
        dataflow
    }

    /// Gives norms in front of layers the depth of these layers.
    fn join_norms_with_layers(&mut self) {
        let nodes = self.nodes;
        // For each value, the least depth of the layers that read it directly or through unary nodes; 0 if any other node reads it.
        let mut read_at: HashMap<&str, usize> = HashMap::new();
        for (position, node) in nodes.iter().enumerate().rev() {
            let open = self.open(node);
            let depth = &mut self.depths[position];
            let readers = node.outputs.iter().filter_map(|output| read_at.get(&**output));
            let beyond = readers.min().copied().unwrap_or(0);
            if node.operator == "LayerNormalization" {
                *depth = beyond.max(*depth);
            }
            let reached = match (self.is_layer(node), open.len()) {
                (true, _) => self.depths[position],
                (false, 1) => beyond,
                (false, _) => 0,
            };
            for input in open {
                let least = read_at.entry(input).or_insert(reached);
                *least = reached.min(*least);
            }
        }
    }

    /// Inputs of a node that depend on the images. Shapes and types do not.
    fn open(&self, node: &'m ModelNode) -> Vec<&'m str> {
        let count = match &*node.operator {
            "Shape" | "Size" => 0,
            "CastLike" => 1,
            _ => node.inputs.len(),
        };
        let inputs = node.inputs.iter().take(count).map(String::as_str);
        inputs
            .filter(|input| !input.is_empty() && !self.fixed.contains(input))
            .collect()
    }

    fn is_fixed(&self, node: &'m ModelNode) -> bool {
        self.open(node).is_empty()
    }

    /// Whether the node is a layer with a weight.
    fn is_layer(&self, node: &'m ModelNode) -> bool {
        matches!(&*node.operator, "Conv" | "Einsum" | "Gemm" | "MatMul")
            && self.open(node).len() == 1
            && node.inputs.iter().any(|input| self.fixed.contains(&**input))
    }

    /// Indices of the head's nodes.
    fn head(&self, logits: &str) -> HashSet<usize> {
        let mut head = HashSet::new();
        let mut last_layer = None;
        let mut name = logits;
        while let Some(&position) = self.producers.get(name) {
            let node = &self.nodes[position];
            let open = self.open(node);
            let goes_on = match (self.is_layer(node), &last_layer) {
                (true, None) => true,
                // A convolution before the last layer belongs to the body.
                (true, Some(_)) => node.operator != "Conv",
                // After the last layer, pooling and any other unary node is allowed.
                (false, None) => open.len() == 1,
                (false, Some(_)) => {
                    open.len() == 1
                        && operators::find(&node.operator).is_some_and(|operator| operator.is_elementwise)
                }
            };
            // A crafted file may contain a cycle.
            if !goes_on || open.is_empty() || !head.insert(position) {
                break;
            }
            if self.is_layer(node) && last_layer.is_none() {
                last_layer = Some(head.clone());
            }
            name = open[0];
        }
        let is_layer = |position: &usize| self.is_layer(&self.nodes[*position]);
        let has_body = (0..self.nodes.len()).any(|position| is_layer(&position) && !head.contains(&position));
        match last_layer {
            Some(last) if !has_body => last,
            Some(_) => head,
            // No layer was found.
            None => HashSet::new(),
        }
    }
}

//! Batch-norm fusion for inference: batch norms with fixed statistics are merged into adjacent layers.
//!
//! `γ·(x − μ)/√(σ² + ε) + β` is `a·x + s` per channel. After a convolution or linear layer it scales and shifts the layer's output; before a
//! linear layer, its input. Both change only the layer's weight and bias, which are computed in double precision and rounded once. Other
//! batch norms, such as one between an addition and a ReLU, are kept. What adjusts logits is such an `a·x + s`, too: see [`fold_output`].

mod output;

use std::collections::BTreeMap;

pub use self::output::fold_output;
use super::op::{BatchNormalization, Gemm};
use super::{Error, Graph, Node, NodeId, Op, Origin, Shape, Tensor, Value};

/// Merges batch norms into adjacent layers; returns the rewritten graph and its parameters.
///
/// # Errors
/// [`Error::DuplicateName`] if the name of an added bias is taken.
///
/// # Source
/// PyTorch's `fuse_conv_bn_eval`.
pub fn fuse_bn(
    graph: &Graph,
    state: &BTreeMap<String, Tensor>,
) -> Result<(Graph, BTreeMap<String, Tensor>), Error> {
    let (mut graph, mut state) = (graph.clone(), state.clone());
    while let Some(merge) = Merge::find(&graph, &state) {
        graph = merge.apply(&graph, &mut state)?.0;
    }
    Ok((graph, state))
}

/// What is merged into a layer.
struct Merge {
    /// The batch norm that is left out, and its input; `None` if there is no node for what is merged.
    norm: Option<[Value; 2]>,
    layer: NodeId,
    weight: String,
    bias: Option<String>,
    scale_shift: ScaleShift,
    side: Side,
}

/// `scale·x + shift` per channel.
struct ScaleShift {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

/// Position of the norm relative to the layer, and the axis of the weight that its channels correspond to.
#[derive(Clone, Copy)]
enum Side {
    /// The norm follows the layer.
    After { axis: usize },
    /// The norm precedes the layer.
    Before { axis: usize },
}

impl Merge {
    fn find(graph: &Graph, state: &BTreeMap<String, Tensor>) -> Option<Self> {
        let readers = Readers::of(graph);
        graph.nodes().iter().find_map(|node| {
            let Op::BatchNormalization(attributes) = node.op else {
                return None;
            };
            let scale_shift = ScaleShift::of(graph, node, attributes, state)?;
            let norm = node.outputs().next()?;
            let operand = node.inputs[0];
            let of = |layer: NodeId, side: Side| {
                let (weight, bias) = kept(graph, &readers, graph.node(layer), state)?;
                Some((layer, weight, bias, side))
            };
            let after = match graph.origin(operand) {
                Origin::Node(layer, 0) if readers.only(operand).is_some() => {
                    output_axis(&graph.node(*layer).op).and_then(|axis| of(*layer, Side::After { axis }))
                }
                _ => None,
            };
            let before = || {
                let layer = readers.only(norm)?;
                match graph.node(layer).op {
                    Op::Gemm(gemm) if !gemm.transpose_a && graph.node(layer).inputs[0] == norm => {
                        let axis = usize::from(gemm.transpose_b);
                        of(layer, Side::Before { axis })
                    }
                    _ => None,
                }
            };
            let (layer, weight, bias, side) = after.or_else(before)?;
            Some(Self {
                norm: Some([norm, operand]),
                layer,
                weight,
                bias,
                scale_shift,
                side,
            })
        })
    }

    /// The graph without the norm, and each value of `graph` there; `state` is updated to match.
    fn apply(
        &self,
        graph: &Graph,
        state: &mut BTreeMap<String, Tensor>,
    ) -> Result<(Graph, Vec<Value>), Error> {
        let channels = match self.side {
            Side::After { .. } => self.scale_shift.scale.len(),
            Side::Before { axis } => state[&self.weight].shape[1 - axis],
        };
        let bias = self.bias.clone().unwrap_or_else(|| {
            let layer = self.weight.strip_suffix(".weight").unwrap_or(&self.weight);
            format!("{layer}.bias")
        });
        self.merge(state, &bias, channels);
        let mut merged = Graph::new();
        let mut mapped: Vec<Value> = Vec::with_capacity(graph.values().len());
        for value in graph.values() {
            let tensor_type = graph.tensor_type(value);
            match graph.origin(value) {
                Origin::Input(name) => mapped.push(merged.input(name, tensor_type.clone())?),
                Origin::Parameter(name) => mapped.push(merged.parameter(name, tensor_type.shape.clone())?),
                Origin::Constant(data) => {
                    mapped.push(merged.constant(tensor_type.shape.clone(), data.clone())?);
                }
                Origin::Node(id, 0) => {
                    if let Some([_, operand]) = self.norm.filter(|[norm, _]| *norm == value) {
                        mapped.push(mapped[operand.index()]);
                        continue;
                    }
                    let node = graph.node(*id);
                    let mut inputs: Vec<Value> =
                        node.inputs.iter().map(|input| mapped[input.index()]).collect();
                    if *id == self.layer && self.bias.is_none() {
                        inputs.push(merged.parameter(&bias, [channels])?);
                    }
                    mapped.extend(merged.scoped(&node.scope, |g| g.push(node.op.clone(), &inputs))?);
                }
                Origin::Node(..) => {}
            }
        }
        for (name, value) in graph.outputs() {
            merged.output(name, mapped[value.index()])?;
        }
        Ok((merged, mapped))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "computed in double precision and rounded once"
    )]
    fn merge(&self, state: &mut BTreeMap<String, Tensor>, bias: &str, channels: usize) {
        let weight = state.get_mut(&self.weight).expect("the weight was looked up");
        let (shape, mut added) = (weight.shape.clone(), vec![0.0; channels]);
        for (index, element) in weight.data.iter_mut().enumerate() {
            match self.side {
                Side::After { axis } => {
                    let channel = along(&shape, axis, index);
                    *element = (f64::from(*element) * self.scale_shift.scale[channel]) as f32;
                }
                Side::Before { axis } => {
                    let channel = along(&shape, axis, index);
                    added[along(&shape, 1 - axis, index)] +=
                        f64::from(*element) * self.scale_shift.shift[channel];
                    *element = (f64::from(*element) * self.scale_shift.scale[channel]) as f32;
                }
            }
        }
        let old = state.remove(bias).unwrap_or_else(|| Tensor {
            shape: Shape::from([channels]),
            data: vec![0.0; channels],
        });
        let new = old.data.iter().enumerate().map(|(channel, &old)| {
            let old = f64::from(old);
            let new = match self.side {
                Side::After { .. } => old * self.scale_shift.scale[channel] + self.scale_shift.shift[channel],
                Side::Before { .. } => old + added[channel],
            };
            new as f32
        });
        let (shape, data) = (old.shape.clone(), new.collect());
        state.insert(bias.to_owned(), Tensor { shape, data });
    }
}

/// The coordinate along `axis` of the element with a row-major index.
fn along(shape: &Shape, axis: usize, index: usize) -> usize {
    index / shape[axis + 1..].iter().product::<usize>() % shape[axis]
}

/// The axis of a layer's weight that its output channels correspond to; `None` if the operator is not such a layer.
fn output_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv(_) => Some(0),
        Op::Gemm(Gemm { transpose_b, .. }) => Some(usize::from(!transpose_b)),
        _ => None,
    }
}

/// Names of a layer's weight and bias, if no other node uses them and their values are known.
fn kept(
    graph: &Graph,
    readers: &Readers,
    layer: &Node,
    state: &BTreeMap<String, Tensor>,
) -> Option<(String, Option<String>)> {
    let named = |value| parameter(graph, readers, value, state);
    let weight = named(layer.inputs[1])?;
    match layer.inputs.get(2) {
        None => Some((weight, None)),
        // The addend of a Gemm may have another shape than one bias per column.
        Some(&bias) if graph.shape(bias).len() == 1 && graph.shape(bias)[0] > 1 => {
            Some((weight, Some(named(bias)?)))
        }
        Some(_) => None,
    }
}

/// The name of a parameter that has one use and a known value.
fn parameter(
    graph: &Graph,
    readers: &Readers,
    value: Value,
    state: &BTreeMap<String, Tensor>,
) -> Option<String> {
    match graph.origin(value) {
        Origin::Parameter(name) if readers.only(value).is_some() && state.contains_key(name) => {
            Some(name.clone())
        }
        _ => None,
    }
}

impl ScaleShift {
    fn of(
        graph: &Graph,
        norm: &Node,
        attributes: BatchNormalization,
        state: &BTreeMap<String, Tensor>,
    ) -> Option<Self> {
        let tensor = |operand: usize| match graph.origin(norm.inputs[operand]) {
            Origin::Parameter(name) => state.get(name),
            _ => None,
        };
        let [scale, bias, mean, variance] = [tensor(1)?, tensor(2)?, tensor(3)?, tensor(4)?];
        let epsilon = f64::from(attributes.epsilon);
        let scale: Vec<f64> = scale
            .data
            .iter()
            .zip(&variance.data)
            .map(|(&scale, &variance)| f64::from(scale) / (f64::from(variance) + epsilon).sqrt())
            .collect();
        let shift = scale
            .iter()
            .zip(&bias.data)
            .zip(&mean.data)
            .map(|((scale, &bias), &mean)| f64::from(bias) - f64::from(mean) * scale)
            .collect();
        Some(Self { scale, shift })
    }
}

/// The uses of each value: the node, or `None` for a graph output.
struct Readers(Vec<Vec<Option<NodeId>>>);

impl Readers {
    fn of(graph: &Graph) -> Self {
        let mut readers = vec![Vec::new(); graph.values().len()];
        for node in graph.nodes() {
            let id = node.outputs().next().map(|output| graph.origin(output));
            if let Some(Origin::Node(id, _)) = id {
                node.inputs
                    .iter()
                    .for_each(|input| readers[input.index()].push(Some(*id)));
            }
        }
        graph
            .outputs()
            .iter()
            .for_each(|(_, value)| readers[value.index()].push(None));
        Self(readers)
    }

    /// The node that uses a value, if it is the value's only use.
    fn only(&self, value: Value) -> Option<NodeId> {
        match *self.0[value.index()] {
            [reader] => reader,
            _ => None,
        }
    }
}

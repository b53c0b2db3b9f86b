//! Batch norms whose statistics are fixed, merged into the layers beside them.
//!
//! `γ·(x − μ)/√(σ² + ε) + β` is `a·x + s` per channel. Behind a convolution or a matrix, it scales and shifts what that gives; before a
//! matrix, what that reads. Either way it is another weight and another bias, computed in double precision and rounded once. A norm that
//! stands elsewhere, such as between a sum and a rectifier, stays.

use std::collections::BTreeMap;

use super::op::{BatchNormalization, Gemm};
use super::{Error, Graph, Node, NodeId, Op, Origin, Shape, Tensor, Value};

/// The same function with as few batch norms as possible, and what it keeps.
///
/// # Errors
/// [`Error::DuplicateName`] where a new bias has the name of something else.
pub fn fuse_bn(
    graph: &Graph,
    state: &BTreeMap<String, Tensor>,
) -> Result<(Graph, BTreeMap<String, Tensor>), Error> {
    let (mut graph, mut state) = (graph.clone(), state.clone());
    while let Some(merge) = Merge::find(&graph, &state) {
        graph = merge.apply(&graph, &mut state)?;
    }
    Ok((graph, state))
}

/// A norm and the layer that takes it in.
struct Merge {
    norm: Value,
    /// What the norm reads.
    operand: Value,
    layer: NodeId,
    weight: String,
    bias: Option<String>,
    affine: Affine,
    side: Side,
}

/// `scale·x + shift` per channel.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

/// Where the norm stands, and along which axis of the weight its channels are.
#[derive(Clone, Copy)]
enum Side {
    /// It reads the layer's result.
    Behind { axis: usize },
    /// The layer reads its result.
    Before { axis: usize },
}

impl Merge {
    fn find(graph: &Graph, state: &BTreeMap<String, Tensor>) -> Option<Self> {
        let readers = Readers::of(graph);
        graph.nodes().iter().find_map(|node| {
            let Op::BatchNormalization(attributes) = node.op else {
                return None;
            };
            let affine = Affine::of(graph, node, attributes, state)?;
            let norm = node.outputs().next()?;
            let operand = node.inputs[0];
            let of = |layer: NodeId, side: Side| {
                let (weight, bias) = kept(graph, &readers, graph.node(layer), state)?;
                Some((layer, weight, bias, side))
            };
            let behind = match graph.origin(operand) {
                Origin::Node(layer, 0) if readers.only(operand).is_some() => {
                    output_axis(&graph.node(*layer).op).and_then(|axis| of(*layer, Side::Behind { axis }))
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
            let (layer, weight, bias, side) = behind.or_else(before)?;
            Some(Self {
                norm,
                operand,
                layer,
                weight,
                bias,
                affine,
                side,
            })
        })
    }

    /// The graph without the norm, and its weights with it.
    fn apply(&self, graph: &Graph, state: &mut BTreeMap<String, Tensor>) -> Result<Graph, Error> {
        let channels = match self.side {
            Side::Behind { .. } => self.affine.scale.len(),
            Side::Before { axis } => state[&self.weight].shape[1 - axis],
        };
        let bias = self.bias.clone().unwrap_or_else(|| {
            let layer = self.weight.strip_suffix(".weight").unwrap_or(&self.weight);
            format!("{layer}.bias")
        });
        self.merge(state, &bias, channels);
        let mut merged = Graph::new();
        let mut images: Vec<Value> = Vec::with_capacity(graph.values().len());
        for value in graph.values() {
            let tensor_type = graph.tensor_type(value);
            match graph.origin(value) {
                Origin::Input(name) => images.push(merged.input(name, tensor_type.clone())?),
                Origin::Parameter(name) => images.push(merged.parameter(name, tensor_type.shape.clone())?),
                Origin::Constant(data) => {
                    images.push(merged.constant(tensor_type.shape.clone(), data.clone())?);
                }
                Origin::Node(..) if value == self.norm => images.push(images[self.operand.index()]),
                Origin::Node(id, 0) => {
                    let node = graph.node(*id);
                    let mut inputs: Vec<Value> =
                        node.inputs.iter().map(|input| images[input.index()]).collect();
                    if *id == self.layer && self.bias.is_none() {
                        inputs.push(merged.parameter(&bias, [channels])?);
                    }
                    images.extend(merged.scoped(&node.scope, |g| g.push(node.op.clone(), &inputs))?);
                }
                Origin::Node(..) => {}
            }
        }
        for (name, value) in graph.outputs() {
            merged.output(name, images[value.index()])?;
        }
        Ok(merged)
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
                Side::Behind { axis } => {
                    let channel = along(&shape, axis, index);
                    *element = (f64::from(*element) * self.affine.scale[channel]) as f32;
                }
                Side::Before { axis } => {
                    let channel = along(&shape, axis, index);
                    added[along(&shape, 1 - axis, index)] += f64::from(*element) * self.affine.shift[channel];
                    *element = (f64::from(*element) * self.affine.scale[channel]) as f32;
                }
            }
        }
        let old = state
            .remove(bias)
            .map_or_else(|| vec![0.0; channels], |bias| bias.data);
        let new = old.iter().enumerate().map(|(channel, &old)| {
            let old = f64::from(old);
            let new = match self.side {
                Side::Behind { .. } => old * self.affine.scale[channel] + self.affine.shift[channel],
                Side::Before { .. } => old + added[channel],
            };
            new as f32
        });
        let (shape, data) = (Shape::from([channels]), new.collect());
        state.insert(bias.to_owned(), Tensor { shape, data });
    }
}

/// The index along an axis of the element at a place in row-major order.
fn along(shape: &Shape, axis: usize, index: usize) -> usize {
    index / shape[axis + 1..].iter().product::<usize>() % shape[axis]
}

/// Which axis of its weight a layer's results stand along; `None` for what is no layer.
fn output_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv(_) | Op::GroupConv(_) => Some(0),
        Op::Gemm(Gemm { transpose_b, .. }) => Some(usize::from(!transpose_b)),
        _ => None,
    }
}

/// Names of a layer's weight and bias, where they are its own and their values are known.
fn kept(
    graph: &Graph,
    readers: &Readers,
    layer: &Node,
    state: &BTreeMap<String, Tensor>,
) -> Option<(String, Option<String>)> {
    let named = |value: Value| match graph.origin(value) {
        Origin::Parameter(name) if readers.only(value).is_some() && state.contains_key(name) => {
            Some(name.clone())
        }
        _ => None,
    };
    let weight = named(layer.inputs[1])?;
    match layer.inputs.get(2) {
        None => Some((weight, None)),
        // A matrix' addend may be broadcast from less than a row.
        Some(&bias) if graph.shape(bias).len() == 1 && graph.shape(bias)[0] > 1 => {
            Some((weight, Some(named(bias)?)))
        }
        Some(_) => None,
    }
}

impl Affine {
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

/// Who reads a value.
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
        // Whoever runs the graph reads its outputs.
        graph
            .outputs()
            .iter()
            .for_each(|(_, value)| readers[value.index()].push(None));
        Self(readers)
    }

    /// The only node that reads a value.
    fn only(&self, value: Value) -> Option<NodeId> {
        match *self.0[value.index()] {
            [reader] => reader,
            _ => None,
        }
    }
}

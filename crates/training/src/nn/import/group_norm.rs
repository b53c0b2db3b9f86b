//! Normalization of one sample: per channel, per group of channels, or by the root mean square.

use super::Error;
use super::importer::Importer;
use super::node::{axis_of, node_error};
use super::normalize::standardized;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::Reduce;
use crate::graph::{Graph, Shape, Value};
use crate::nn::ParameterKind;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "GroupNormalization",
        &["epsilon", "num_groups", "stash_type"],
        group_norm,
    ),
    Operator::new("InstanceNormalization", &["epsilon"], instance_norm),
    Operator::new("RMSNormalization", &["axis", "epsilon", "stash_type"], rms_norm).elementwise(),
];

/// One mean and variance per sample and group of channels. Scale and bias are per channel, or before operator set 21 per group.
fn group_norm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let groups = node
        .attributes
        .int("num_groups")
        .and_then(|groups| usize::try_from(groups).ok());
    normalized(importer, node, groups.unwrap_or(0), true)
}

/// One mean and variance per sample and channel.
///
/// PyTorch's exporter writes a group norm as an instance norm of scale 1 and bias 0 between two Reshapes; these two are not parameters.
fn instance_norm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let channels = importer.shape_of(importer.item(node, 0)?).get(1).copied();
    let is = |operand: usize, number: f32| {
        let tensor = node
            .inputs
            .get(operand)
            .and_then(|name| importer.model.initializers.get(name));
        let floats = tensor.and_then(|tensor| tensor.floats());
        floats.is_some_and(|floats| floats.iter().all(|float| float.to_bits() == number.to_bits()))
    };
    let nodes = &importer.model.nodes;
    let of_reshape = |name: &String| {
        let mut reshapes = nodes.iter().filter(|other| other.operator == "Reshape");
        reshapes.any(|reshape| reshape.outputs.contains(name))
    };
    let is_identity = is(1, 1.0) && is(2, 0.0) && node.inputs.first().is_some_and(of_reshape);
    normalized(importer, node, channels.unwrap_or(0), !is_identity)
}

fn normalized(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    groups: usize,
    is_trained: bool,
) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let [scale, bias] = match is_trained {
        true => [
            importer.parameter(node, 1, ParameterKind::NormWeight)?,
            importer.parameter(node, 2, ParameterKind::NormBias)?,
        ],
        false => [importer.value(node, 1)?, importer.value(node, 2)?],
    };
    let shape = importer.shape(x).clone();
    let [batch, channels, _, ..] = *shape else {
        return Err(node_error(
            node,
            format!("its operand has shape {shape}, expected [N, C, …]"),
        ));
    };
    if groups == 0 || channels % groups != 0 {
        let reason = format!("its {channels} channels cannot be divided into {groups} groups");
        return Err(node_error(node, reason));
    }
    let epsilon = node.attributes.float("epsilon").unwrap_or(1e-5);
    let is_per_channel = *importer.shape(scale) == Shape::from([channels]);
    importer.wire(node, |g| {
        let affine = |g: &mut Graph, x: Value, ones: usize| {
            let column = |g: &mut Graph, value: Value| {
                let extents = [&**g.shape(value), &vec![1; ones]].concat();
                g.reshape(value, Shape::from(extents))
            };
            let (scale, bias) = (column(g, scale)?, column(g, bias)?);
            let scaled = g.mul(x, scale)?;
            g.add(scaled, bias)
        };
        let grouped = Shape::from([batch, groups, shape.elements() / (batch * groups)]);
        let x = g.reshape(x, grouped)?;
        let along = Reduce {
            axes: vec![2],
            keep_axes: true,
        };
        let mut y = standardized(g, x, along, epsilon)?;
        if !is_per_channel {
            y = affine(g, y, 1)?;
        }
        let y = g.reshape(y, shape.clone())?;
        if is_per_channel {
            affine(g, y, shape.len() - 2)
        } else {
            Ok(y)
        }
    })
}

/// `x / √(mean(x²) + ε) · scale` over the axes from `axis` on.
fn rms_norm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let scale = importer.parameter(node, 1, ParameterKind::NormWeight)?;
    let rank = importer.shape(x).len();
    let first = axis_of(node, node.attributes.int("axis").unwrap_or(-1), rank)?;
    let epsilon = node.attributes.float("epsilon").unwrap_or(1e-5);
    let along = Reduce {
        axes: (first..rank).collect(),
        keep_axes: true,
    };
    importer.wire(node, |g| {
        let epsilon = g.scalar(epsilon);
        let square = g.mul(x, x)?;
        let mean = g.reduce_mean(square, along)?;
        let shifted = g.add(mean, epsilon)?;
        let size = g.sqrt(shifted)?;
        let normal = g.div(x, size)?;
        g.mul(normal, scale)
    })
}

use super::Error;
use super::walk::{Walk, axis_of, only, refused, scope};
use crate::graph::import::ModelNode;
use crate::graph::op::Reduce;
use crate::graph::{Op, Shape, Value};
use crate::nn::Kind;
use crate::nn::norm::NormSettings;

/// A batch norm, whichever form the file has it in.
pub(super) fn batch_norm(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["epsilon", "momentum", "spatial", "training_mode"])?;
    let x = walk.value(node, 0)?;
    let scale = walk.parameter(node, 1, Kind::NormWeight)?;
    let bias = walk.parameter(node, 2, Kind::NormBias)?;
    let Some(&channels) = walk.shape(x).get(1) else {
        return Err(refused(node, "its operand has no channels"));
    };
    let statistics = [
        walk.statistic(node, 3, channels)?,
        walk.statistic(node, 4, channels)?,
    ];
    if statistics[0] == statistics[1] {
        return Err(refused(
            node,
            format!("`{}` is its mean and its variance", statistics[0]),
        ));
    }
    let settings = NormSettings {
        epsilon: node.attributes.float("epsilon").unwrap_or(1e-5),
        // ONNX's is the share that is kept.
        momentum: 1.0 - node.attributes.float("momentum").unwrap_or(0.9),
    };
    Ok(walk
        .b
        .normalised(&scope(node), [x, scale, bias], &statistics, settings)?)
}

/// `(x − mean) / √(variance + ε) · scale (+ bias)` over the last axes.
pub(super) fn layer_norm(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["axis", "epsilon", "stash_type"])?;
    let x = walk.value(node, 0)?;
    let scale = walk.parameter(node, 1, Kind::NormWeight)?;
    let bias = if walk.has(node, 2) {
        Some(walk.parameter(node, 2, Kind::NormBias)?)
    } else {
        None
    };
    let rank = walk.shape(x).len();
    let first = axis_of(node, node.attributes.int("axis").unwrap_or(-1), rank)?;
    let epsilon = node.attributes.float("epsilon").unwrap_or(1e-5);
    let reduce = Reduce {
        axes: (first..rank).collect(),
        keep_axes: true,
    };
    walk.wire(node, |g| {
        let mean = g.reduce_mean(x, reduce.clone())?;
        let centred = g.sub(x, mean)?;
        let square = g.mul(centred, centred)?;
        let variance = g.reduce_mean(square, reduce)?;
        let epsilon = g.scalar(epsilon);
        let shifted = g.add(variance, epsilon)?;
        let deviation = g.sqrt(shifted)?;
        let normal = g.div(centred, deviation)?;
        let scaled = g.mul(normal, scale)?;
        match bias {
            Some(bias) => g.add(scaled, bias),
            None => Ok(scaled),
        }
    })
}

/// Softmax, or its logarithm, along the last axis.
pub(super) fn softmax(walk: &mut Walk<'_, '_>, node: &ModelNode, op: Op) -> Result<Value, Error> {
    only(node, &["axis"])?;
    let x = walk.value(node, 0)?;
    let shape = walk.shape(x).clone();
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(-1), shape.len())?;
    if axis + 1 != shape.len() {
        return Err(refused(node, "it goes along another axis than the last"));
    }
    let width = shape[axis];
    walk.wire(node, |g| {
        if shape.len() == 2 {
            return g.single(op, &[x]);
        }
        let rows = g.reshape(x, Shape::from([shape.elements() / width, width]))?;
        let shares = g.single(op, &[rows])?;
        g.reshape(shares, shape)
    })
}

/// Drops while training, whatever the file says of its mode.
pub(super) fn dropout(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["ratio", "seed"])?;
    let x = walk.value(node, 0)?;
    let given = walk.number(node, 1)?.or_else(|| node.attributes.float("ratio"));
    let ratio = given.unwrap_or(0.5);
    if !(0.0..1.0).contains(&ratio) {
        return Err(refused(node, format!("its ratio is {ratio}")));
    }
    Ok(walk.b.dropout(&scope(node), x, ratio)?)
}

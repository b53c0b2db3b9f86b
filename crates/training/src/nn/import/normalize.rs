use super::Error;
use super::importer::Importer;
use super::node::{axis_of, check_attributes, node_error, scope};
use crate::graph::import::ModelNode;
use crate::graph::op::Reduce;
use crate::graph::{Op, Shape, Value};
use crate::nn::ParameterKind;
use crate::nn::norm::NormSettings;

/// Batch norm, in either training or inference form.
pub(super) fn batch_norm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["epsilon", "momentum", "spatial", "training_mode"])?;
    let x = importer.value(node, 0)?;
    let scale = importer.parameter(node, 1, ParameterKind::NormWeight)?;
    let bias = importer.parameter(node, 2, ParameterKind::NormBias)?;
    let Some(&channels) = importer.shape(x).get(1) else {
        return Err(node_error(node, "its operand has no channels"));
    };
    let statistics = [
        importer.statistic(node, 3, channels)?,
        importer.statistic(node, 4, channels)?,
    ];
    if statistics[0] == statistics[1] {
        return Err(node_error(
            node,
            format!(
                "`{}` is both its running mean and its running variance",
                statistics[0]
            ),
        ));
    }
    let settings = NormSettings {
        epsilon: node.attributes.float("epsilon").unwrap_or(1e-5),
        // ONNX's momentum is the weight of the old value, PyTorch's that of the new one.
        momentum: 1.0 - node.attributes.float("momentum").unwrap_or(0.9),
    };
    Ok(importer
        .b
        .normalised(&scope(node), [x, scale, bias], &statistics, settings)?)
}

/// `(x − mean) / √(variance + ε) · scale (+ bias)` over the last axes.
pub(super) fn layer_norm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["axis", "epsilon", "stash_type"])?;
    let x = importer.value(node, 0)?;
    let scale = importer.parameter(node, 1, ParameterKind::NormWeight)?;
    let bias = if importer.has(node, 2) {
        Some(importer.parameter(node, 2, ParameterKind::NormBias)?)
    } else {
        None
    };
    let rank = importer.shape(x).len();
    let first = axis_of(node, node.attributes.int("axis").unwrap_or(-1), rank)?;
    let epsilon = node.attributes.float("epsilon").unwrap_or(1e-5);
    let reduce = Reduce {
        axes: (first..rank).collect(),
        keep_axes: true,
    };
    importer.wire(node, |g| {
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

/// Softmax or LogSoftmax along the last axis.
pub(super) fn softmax(importer: &mut Importer<'_, '_>, node: &ModelNode, op: Op) -> Result<Value, Error> {
    check_attributes(node, &["axis"])?;
    let x = importer.value(node, 0)?;
    let shape = importer.shape(x).clone();
    let axis = axis_of(node, node.attributes.int("axis").unwrap_or(-1), shape.len())?;
    if axis + 1 != shape.len() {
        return Err(node_error(node, "only the last axis is supported"));
    }
    let width = shape[axis];
    importer.wire(node, |g| {
        if shape.len() == 2 {
            return g.single(op, &[x]);
        }
        let rows = g.reshape(x, Shape::from([shape.elements() / width, width]))?;
        let shares = g.single(op, &[rows])?;
        g.reshape(shares, shape)
    })
}

/// Drops in training only, whatever the node's training mode.
pub(super) fn dropout(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &["ratio", "seed"])?;
    let x = importer.value(node, 0)?;
    let given = importer
        .number(node, 1)?
        .or_else(|| node.attributes.float("ratio"));
    let ratio = given.unwrap_or(0.5);
    if !(0.0..1.0).contains(&ratio) {
        return Err(node_error(
            node,
            format!("its ratio is {ratio}, expected 0 <= ratio < 1"),
        ));
    }
    Ok(importer.b.dropout(&scope(node), x, ratio)?)
}

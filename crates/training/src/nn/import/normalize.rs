use super::Error;
use super::importer::Importer;
use super::node::{axis_of, node_error, scope};
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::{LayerNormalization, Reduce};
use crate::graph::{self, Graph, Op, Shape, Value};
use crate::nn::ParameterKind;
use crate::nn::norm::NormSettings;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "BatchNormalization",
        &["epsilon", "momentum", "spatial", "training_mode"],
        batch_norm,
    )
    .elementwise(),
    Operator::new(
        "LayerNormalization",
        &["axis", "epsilon", "stash_type"],
        layer_norm,
    )
    .elementwise(),
    Operator::new("Softmax", &["axis"], |importer, node| {
        softmax(importer, node, Op::Softmax)
    })
    .elementwise(),
    Operator::new("LogSoftmax", &["axis"], |importer, node| {
        softmax(importer, node, Op::LogSoftmax)
    }),
    Operator::new("Dropout", &["ratio", "seed"], dropout).elementwise(),
];

/// Batch norm, in either training or inference form.
fn batch_norm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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
fn layer_norm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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
    let channels = Shape::from([importer.shape(x)[rank - 1]]);
    let is_vector = |value: Value| *importer.shape(value) == channels;
    let bias_of_last = bias.filter(|&bias| first + 1 == rank && is_vector(bias) && is_vector(scale));
    importer.wire(node, |g| {
        if let Some(bias) = bias_of_last {
            return g.layer_norm(x, scale, bias, LayerNormalization { epsilon });
        }
        let normal = standardized(g, x, reduce, epsilon)?;
        let scaled = g.mul(normal, scale)?;
        match bias {
            Some(bias) => g.add(scaled, bias),
            None => Ok(scaled),
        }
    })
}

/// `(x − mean) / √(variance + ε)` along axes, which the reduction keeps.
pub(super) fn standardized(
    g: &mut Graph,
    x: Value,
    along: Reduce,
    epsilon: f32,
) -> Result<Value, graph::Error> {
    let mean = g.reduce_mean(x, along.clone())?;
    let centred = g.sub(x, mean)?;
    let square = g.mul(centred, centred)?;
    let variance = g.reduce_mean(square, along)?;
    let epsilon = g.scalar(epsilon);
    let shifted = g.add(variance, epsilon)?;
    let deviation = g.sqrt(shifted)?;
    g.div(centred, deviation)
}

/// Softmax or LogSoftmax along an axis; before operator set 13, along all axes from that one on.
fn softmax(importer: &mut Importer<'_, '_>, node: &ModelNode, op: Op) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let shape = importer.shape(x).clone();
    let is_old = importer.model.opset < 13;
    let axis = node.attributes.int("axis").unwrap_or(if is_old { 1 } else { -1 });
    let axis = axis_of(node, axis, shape.len())?;
    importer.wire(node, |g| {
        if axis + 1 == shape.len() {
            return g.single(op, &[x]);
        }
        if is_old {
            let sides = [&shape[..axis], &shape[axis..]].map(|side| side.iter().product::<usize>());
            let rows = g.reshape(x, Shape::from(sides))?;
            let shares = g.single(op, &[rows])?;
            return g.reshape(shares, shape.clone());
        }
        let mut swapped: Vec<usize> = (0..shape.len()).collect();
        swapped.swap(axis, shape.len() - 1);
        let turned = g.transpose(x, &swapped)?;
        let shares = g.single(op, &[turned])?;
        g.transpose(shares, &swapped)
    })
}

/// Drops in training only, whatever the node's training mode.
fn dropout(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
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

use super::Error;
use super::importer::Importer;
use super::node::node_error;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::{self, Constant, ElementType, Graph, Shape, Value};

const ATTRIBUTES: &[&str] = &[
    "is_causal",
    "kv_num_heads",
    "q_num_heads",
    "qk_matmul_output_mode",
    "scale",
    "softcap",
    "softmax_precision",
];

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Attention", ATTRIBUTES, attention)];

/// `softmax(scale · q·kᵀ + mask) · v` per head.
///
/// # Shapes
/// `q: [N, H, L, D]`, `k, v: [N, H, M, D]`, or `[N, L, H·D]` with the number of heads as attributes.
fn attention(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let operands = [
        importer.value(node, 0)?,
        importer.value(node, 1)?,
        importer.value(node, 2)?,
    ];
    let mask = if importer.has(node, 3) {
        Some(importer.value(node, 3)?)
    } else {
        None
    };
    let is_plain = node.attributes.float("softcap").unwrap_or(0.0).to_bits() == 0;
    if importer.has(node, 4) || importer.has(node, 5) || !is_plain {
        return Err(node_error(node, "it has past keys and values, or a softcap"));
    }
    let is_flat = importer.shape(operands[0]).len() == 3;
    let heads = |name: &str| usize::try_from(node.attributes.int(name).unwrap_or(0)).unwrap_or(0);
    let (of_queries, of_keys) = (heads("q_num_heads"), heads("kv_num_heads"));
    let mut split = vec![];
    for (operand, heads) in operands.into_iter().zip([of_queries, of_keys, of_keys]) {
        split.push(if is_flat {
            by_head(importer, node, operand, heads)?
        } else {
            operand
        });
    }
    let (queries, keys) = (importer.shape(split[0]).clone(), importer.shape(split[1]).clone());
    let ([batch, heads, rows, depth], [_, of_keys, columns, _]) = (&*queries, &*keys) else {
        let reason =
            format!("its operands have shapes {queries} and {keys}, expected [N, H, L, D] or [N, L, H·D]");
        return Err(node_error(node, reason));
    };
    if heads != of_keys {
        return Err(node_error(
            node,
            format!("its queries have {heads} heads, its keys {of_keys}"),
        ));
    }
    let (batch, rows, columns) = (*batch, *rows, *columns);
    #[expect(clippy::cast_precision_loss, reason = "extents are far below 2^24")]
    let scale = node
        .attributes
        .float("scale")
        .unwrap_or(1.0 / (*depth as f32).sqrt());
    let is_causal = node.attributes.int("is_causal").unwrap_or(0) != 0;
    if is_causal {
        importer.reserve(node, rows.saturating_mul(columns))?;
    }
    importer.wire(node, |g| {
        let scale = g.scalar(scale);
        let scaled = g.mul(split[0], scale)?;
        let keys = g.transpose(split[1], &[0, 1, 3, 2])?;
        let mut scores = g.matmul(scaled, keys)?;
        if is_causal {
            let is_hidden = |at: usize| at % columns > at / columns;
            let hidden = (0..rows * columns).map(|at| if is_hidden(at) { 1.0 } else { 0.0 });
            let hidden = g.constant([rows, columns], Constant::F32(hidden.collect()))?;
            let (half, lowest) = (g.scalar(0.5), g.scalar(f32::NEG_INFINITY));
            let is_hidden = g.greater(hidden, half)?;
            scores = g.select(is_hidden, lowest, scores)?;
        }
        if let Some(mask) = mask {
            scores = masked(g, scores, mask)?;
        }
        let shares = g.softmax(scores)?;
        let y = g.matmul(shares, split[2])?;
        if !is_flat {
            return Ok(y);
        }
        let width = g.shape(y).elements() / (batch * rows);
        let joined = g.transpose(y, &[0, 2, 1, 3])?;
        g.reshape(joined, Shape::from([batch, rows, width]))
    })
}

/// `[N, L, H·D]` as `[N, H, L, D]`.
fn by_head(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    x: Value,
    heads: usize,
) -> Result<Value, Error> {
    let shape = importer.shape(x).clone();
    let [batch, rows, width] = *shape else {
        return Err(node_error(
            node,
            format!("its operand has shape {shape}, expected [N, L, H·D]"),
        ));
    };
    if heads == 0 || width % heads != 0 {
        return Err(node_error(
            node,
            format!("its {width} features cannot be divided into {heads} heads"),
        ));
    }
    importer.wire(node, |g| {
        let apart = g.reshape(x, Shape::from([batch, rows, heads, width / heads]))?;
        g.transpose(apart, &[0, 2, 1, 3])
    })
}

/// Scores plus a float mask, or −∞ where a boolean mask is false.
fn masked(g: &mut Graph, scores: Value, mask: Value) -> Result<Value, graph::Error> {
    if g.tensor_type(mask).element_type != ElementType::Bool {
        return g.add(scores, mask);
    }
    let lowest = g.scalar(f32::NEG_INFINITY);
    g.select(mask, scores, lowest)
}

use super::Error;
use super::elementwise::per_channel;
use super::importer::Importer;
use super::node::node_error;
use super::operator::Operator;
use super::windows::{self, Windows};
use crate::graph::import::ModelNode;
use crate::graph::{Op, Value};
use crate::nn::{Mode, ParameterKind};

pub(super) const OPERATORS: &[Operator] = &[Operator::new(
    "Conv",
    &[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "pads",
        "strides",
    ],
    conv,
)];

/// Convolution, grouped or not, with or without bias.
pub(super) fn conv(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let w = importer.parameter(node, 1, ParameterKind::ConvWeight)?;
    let bias = if importer.has(node, 2) {
        Some(importer.parameter(node, 2, ParameterKind::LinearBias)?)
    } else {
        None
    };
    let [_, _, rows, columns] = **importer.shape(w) else {
        return Err(node_error(node, "only two-dimensional windows are supported"));
    };
    let windows = Windows::of(node, importer.shape(x), Some([rows, columns]))?;
    let (x, mut conv) = windows::convolution(importer, x, &windows, [rows, columns]);
    conv.groups = usize::try_from(node.attributes.int("group").unwrap_or(1)).unwrap_or(0);
    match (bias, importer.mode()) {
        // A convolution without bias can be fused.
        (Some(bias), Mode::Train) if conv.groups == 1 => importer.wire(node, |g| {
            let y = g.conv(x, w, conv)?;
            let bias = per_channel(g, bias)?;
            g.add(y, bias)
        }),
        _ => {
            let operands: Vec<Value> = [x, w].into_iter().chain(bias).collect();
            importer.single(node, Op::Conv(conv), &operands)
        }
    }
}

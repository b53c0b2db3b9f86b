use super::Error;
use super::importer::Importer;
use crate::graph::Value;
use crate::graph::import::ModelNode;
use crate::nn::{ParameterKind, cosine};

/// The result of a node of the last linear layer if the target's last layer is to compute cosines instead; its bias is left out.
pub(super) fn translate(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Option<Value>, Error> {
    let target = importer.target;
    let (Some(scale), [last]) = (target.cosine, target.resized) else {
        return Ok(None);
    };
    let layer = &last.layer;
    let is_last = node.outputs.first() == target.outputs.first();
    match &*node.operator {
        "Gemm" | "MatMul" if node.inputs.get(1) == Some(&layer.weight) => {
            let x = importer.value(node, 0)?;
            let weight = importer.parameter(node, 1, ParameterKind::LinearWeight)?;
            let cosines = importer.wire(node, |g| cosine(g, x, (weight, layer.axis), scale))?;
            Ok(Some(cosines))
        }
        "Add" if is_last => {
            let product = node
                .inputs
                .iter()
                .position(|name| Some(name) != layer.bias.as_ref());
            product.map(|operand| importer.value(node, operand)).transpose()
        }
        _ => Ok(None),
    }
}

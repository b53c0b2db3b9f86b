//! Quantized weights.

use std::collections::HashMap;

use crate::graph::Shape;
use crate::graph::import::{Elements, HostTensor, Model, ModelNode};

/// Replaces each `DequantizeLinear` of initializers by its result, a float initializer with the output's name, which can be trained.
pub(super) fn dequantized(mut model: Model) -> Model {
    let results: HashMap<String, HostTensor> = model
        .nodes
        .iter()
        .filter(|node| node.operator == "DequantizeLinear")
        .filter_map(|node| Some((node.outputs.first()?.clone(), dequantize(&model, node)?)))
        .collect();
    model.nodes.retain(|node| {
        node.outputs
            .first()
            .is_none_or(|output| !results.contains_key(output))
    });
    model.initializers.extend(results);
    model
}

/// `(x − zero_point) · scale`, with one scale for the tensor or one per index of an axis; `None` if an operand is not an initializer.
#[expect(clippy::cast_precision_loss, reason = "quantized numbers have 8 or 16 bits")]
fn dequantize(model: &Model, node: &ModelNode) -> Option<HostTensor> {
    let operand = |operand: usize| {
        let name = node.inputs.get(operand).filter(|name| !name.is_empty())?;
        model.initializers.get(name)
    };
    let (x, scales) = (operand(0)?, operand(1)?.floats()?);
    let numbers = x.integers()?;
    let zeros = match node.inputs.get(2).filter(|name| !name.is_empty()) {
        Some(_) => operand(2)?.integers()?.to_vec(),
        None => vec![0; scales.len()],
    };
    let rank = i64::try_from(x.shape.len()).ok()?;
    let axis = node.attributes.int("axis").unwrap_or(1);
    let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
    let inner = match scales.len() {
        1 => numbers.len().max(1),
        count if x.shape.get(axis) == Some(&count) => x.shape[axis + 1..].iter().product(),
        _ => return None,
    };
    if zeros.len() != scales.len() || node.attributes.int("block_size").unwrap_or(0) != 0 {
        return None;
    }
    let value = |(at, number): (usize, &i64)| {
        let group = at / inner % scales.len();
        (number - zeros[group]) as f32 * scales[group]
    };
    Some(HostTensor {
        shape: Shape::from(&*x.shape),
        elements: Elements::F32(numbers.iter().enumerate().map(value).collect()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::graph::import::Attributes;

    fn integers(shape: &[usize], numbers: &[i64]) -> HostTensor {
        HostTensor {
            shape: Shape::from(shape),
            elements: Elements::I64(numbers.to_vec()),
        }
    }

    fn model(scales: &[f32], zeros: &[i64], x: &str) -> Model {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let scale = HostTensor {
            shape: Shape::from([scales.len()]),
            elements: Elements::F32(scales.to_vec()),
        };
        Model {
            opset: 18,
            inputs: vec![],
            outputs: vec![],
            nodes: vec![ModelNode {
                name: "node".to_owned(),
                operator: "DequantizeLinear".to_owned(),
                inputs: names(&[x, "scale", "zero"]),
                outputs: names(&["w"]),
                attributes: Attributes::default(),
            }],
            initializers: BTreeMap::from([
                ("quantized".to_owned(), integers(&[2, 3], &[-1, 0, 1, 2, 3, 4])),
                ("scale".to_owned(), scale),
                ("zero".to_owned(), integers(&[zeros.len()], zeros)),
            ]),
            metadata: vec![],
            is_own: false,
        }
    }

    #[test]
    fn quantized_initializers_become_float_initializers() {
        let of = |scales: &[f32], zeros: &[i64]| {
            let model = dequantized(model(scales, zeros, "quantized"));
            assert!(model.nodes.is_empty());
            model.initializers["w"].floats().expect("floats").to_vec()
        };
        assert_eq!(of(&[0.5], &[1]), [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]);
        // The default axis is 1.
        assert_eq!(
            of(&[1.0, 2.0, 4.0], &[0, 1, 0]),
            [-1.0, -2.0, 4.0, 2.0, 4.0, 16.0]
        );
    }

    #[test]
    fn other_nodes_and_other_numbers_of_scales_are_left() {
        for (scales, x) in [(&[1.0][..], "computed"), (&[1.0, 2.0], "quantized")] {
            let model = model(scales, &vec![0; scales.len()], x);
            assert_eq!(dequantized(model.clone()), model);
        }
    }
}

use super::array::{Array, broadcast};

pub(super) fn unary(operands: &[&Array], function: impl Fn(f64) -> f64) -> Array {
    Array::new(
        &operands[0].shape,
        operands[0]
            .data
            .iter()
            .map(|&element| function(element))
            .collect(),
    )
}

pub(super) fn binary(operands: &[&Array], function: impl Fn(f64, f64) -> f64) -> Array {
    if operands[0].shape == operands[1].shape {
        let pairs = operands[0].data.iter().zip(&operands[1].data);
        return Array::new(
            &operands[0].shape,
            pairs.map(|(&left, &right)| function(left, right)).collect(),
        );
    }
    Array::from_fn(&broadcast(operands), |index| {
        function(operands[0].at(index), operands[1].at(index))
    })
}

pub(super) fn select(operands: &[&Array]) -> Array {
    Array::from_fn(&broadcast(operands), |index| {
        if operands[0].at(index) != 0.0 {
            operands[1].at(index)
        } else {
            operands[2].at(index)
        }
    })
}

pub(super) fn sum(operands: &[&Array]) -> Array {
    let element = |flat: usize| operands.iter().map(|operand| operand.data[flat]).sum();
    Array::new(
        &operands[0].shape,
        (0..operands[0].data.len()).map(element).collect(),
    )
}

use equibatch_training::graph::op::Gemm;

use super::array::{Array, broadcast};
use super::layout::transpose;

pub(super) fn matmul(a: &Array, b: &Array) -> Array {
    let (a_batch, a_matrix) = a.shape.split_at(a.shape.len() - 2);
    let (b_batch, b_matrix) = b.shape.split_at(b.shape.len() - 2);
    let batch = broadcast(&[&Array::zeros(a_batch), &Array::zeros(b_batch)]);
    let (rows, inner, columns) = (a_matrix[0], a_matrix[1], b_matrix[1]);
    Array::from_fn(&[&*batch, &[rows, columns]].concat(), |index| {
        let (batch, &[row, column]) = index.split_last_chunk().expect("a matrix");
        let product = |k| a.at(&[batch, &[row, k]].concat()) * b.at(&[batch, &[k, column]].concat());
        (0..inner).map(product).sum()
    })
}

pub(super) fn gemm(operands: &[&Array], gemm: Gemm) -> Array {
    let transposed_if = |x: &Array, transposed: bool| {
        if transposed {
            transpose(x, &[1, 0])
        } else {
            x.clone()
        }
    };
    let mut product = matmul(
        &transposed_if(operands[0], gemm.transpose_a),
        &transposed_if(operands[1], gemm.transpose_b),
    );
    if let Some(addend) = operands.get(2) {
        let sum = Array::from_fn(&product.shape, |index| product.at(index) + addend.at(index));
        product = sum;
    }
    product
}

//! Matrix multiplications.

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::op::Gemm;
use crate::graph::{Op, Shape, Value};

/// `y = a·b` ⟹ `da = dy·bᵀ`, `db = aᵀ·dy`, on the last two axes; `unbroadcast` sums over broadcast leading axes.
///
/// # Shapes
/// `a: [.., m, k]`, `b: [.., k, n]`, `y: [.., m, n]`.
pub(super) fn matmul(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (left, right, dy) = (b.input(0), b.input(1), b.upstream()?);
    if b.shape(right).len() == 2 && b.shape(left).len() > 2 {
        return linear(b, [left, right, dy]);
    }
    let mut to_left = None;
    if b.wants(0) {
        let transposed = transposed(b, right)?;
        to_left = Some(b.matmul(dy, transposed)?);
    }
    let mut to_right = None;
    if b.wants(1) {
        let transposed = transposed(b, left)?;
        to_right = Some(b.matmul(transposed, dy)?);
    }
    Ok(vec![to_left, to_right])
}

/// [`matmul`] with a matrix on the right: all rows on the left are one matrix, so that the sum over them is part of the multiplication.
fn linear(b: &mut Backward<'_>, [left, right, dy]: [Value; 3]) -> Result<Gradients, Error> {
    let (shape, [k, n]) = (b.shape(left).clone(), [b.shape(right)[0], b.shape(right)[1]]);
    let rows = shape.elements() / k.max(1);
    let dy = b.reshape(dy, Shape::from([rows, n]))?;
    let gemm = |transpose_a, transpose_b| Gemm {
        transpose_a,
        transpose_b,
    };
    let mut to_left = None;
    if b.wants(0) {
        let flat = b.gemm(dy, right, None, gemm(false, true))?;
        to_left = Some(b.reshape(flat, shape)?);
    }
    let mut to_right = None;
    if b.wants(1) {
        let flat = b.reshape(left, Shape::from([rows, k]))?;
        to_right = Some(b.gemm(flat, dy, None, gemm(true, false))?);
    }
    Ok(vec![to_left, to_right])
}

/// Swaps the last two axes.
fn transposed(b: &mut Backward<'_>, value: Value) -> Result<Value, Error> {
    let rank = b.shape(value).len();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    Ok(b.transpose(value, &permutation)?)
}

/// `y = A·B + c` with `A = a` or `aᵀ`, `B = b` or `bᵀ` ⟹ `dA = dy·Bᵀ`, `dB = Aᵀ·dy`, each transposed back, and `dc = dy`.
///
/// # Shapes
/// `A: [m, k]`, `B: [k, n]`, `y: [m, n]`; `c` broadcasts to `y`.
pub(super) fn gemm(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let Op::Gemm(Gemm {
        transpose_a,
        transpose_b,
    }) = b.node.op
    else {
        unreachable!("the table gives this rule to Gemm only");
    };
    let (left, right, dy) = (b.input(0), b.input(1), b.upstream()?);
    let product = |b: &mut Backward<'_>, first, second, transpose_a, transpose_b| {
        b.gemm(
            first,
            second,
            None,
            Gemm {
                transpose_a,
                transpose_b,
            },
        )
        .map(Some)
    };
    let to_left = match (b.wants(0), transpose_a) {
        (false, _) => None,
        (true, false) => product(b, dy, right, false, !transpose_b)?,
        (true, true) => product(b, right, dy, transpose_b, true)?,
    };
    let to_right = match (b.wants(1), transpose_b) {
        (false, _) => None,
        (true, false) => product(b, left, dy, !transpose_a, false)?,
        (true, true) => product(b, dy, left, true, transpose_a)?,
    };
    let to_addend = b.node.inputs.get(2).map(|_| dy);
    Ok([to_left, to_right]
        .into_iter()
        .chain(to_addend.map(Some))
        .collect())
}

#[cfg(test)]
mod tests {
    use crate::autodiff::gradients;
    use crate::graph::op::Reduce;
    use crate::graph::{Graph, Op, TensorType};

    #[test]
    fn the_gradient_of_a_layer_on_tokens_is_one_multiplication_without_a_sum_over_the_batch() {
        let mut g = Graph::new();
        let x = g.input("x", TensorType::f32([4, 7, 5])).expect("a new name");
        let w = g.parameter("w", [5, 3]).expect("a new name");
        let y = g.matmul(x, w).expect("shapes match");
        let before = g.nodes().len();
        let total = g
            .reduce_sum(
                y,
                Reduce {
                    axes: vec![0, 1, 2],
                    keep_axes: false,
                },
            )
            .expect("three axes");
        let [dx, dw] = gradients(&mut g, total, &[x, w]).expect("differentiable")[..] else {
            panic!("two gradients");
        };
        assert_eq!((&**g.shape(dx), &**g.shape(dw)), (&[4, 7, 5][..], &[5, 3][..]));
        let added = &g.nodes()[before + 1..];
        assert!(
            !added
                .iter()
                .any(|node| matches!(node.op, Op::ReduceSum(_) | Op::MatMul))
        );
        let products = added.iter().filter(|node| matches!(node.op, Op::Gemm(_)));
        assert_eq!(products.count(), 2);
    }
}

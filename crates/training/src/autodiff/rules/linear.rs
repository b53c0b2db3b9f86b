//! Matrix multiplications.

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::op::Gemm;
use crate::graph::{Op, Value};

/// `y = a·b` ⟹ `da = dy·bᵀ`, `db = aᵀ·dy`, on the last two axes; `unbroadcast` sums over broadcast leading axes.
///
/// # Shapes
/// `a: [.., m, k]`, `b: [.., k, n]`, `y: [.., m, n]`.
pub(super) fn matmul(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (left, right, dy) = (b.input(0), b.input(1), b.upstream()?);
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

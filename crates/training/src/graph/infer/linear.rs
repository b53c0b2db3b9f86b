use super::super::Shape;
use super::super::error::InferError;
use super::super::op::Gemm;
use super::operands::{Operands, Types, broadcast, expect_elements, expect_shape, extents, one};

pub(super) fn matmul(operands: &Operands<'_>) -> Types {
    let ([a, b], precision) = operands.alike()?;
    let (Some((a_batch, &[rows, inner])), Some((b_batch, &[b_inner, columns]))) =
        (a.split_last_chunk::<2>(), b.split_last_chunk::<2>())
    else {
        let (operand, found) = if a.len() < 2 { (0, a.len()) } else { (1, b.len()) };
        return Err(InferError::Rank {
            operand,
            expected: 2,
            found,
        });
    };
    if inner != b_inner {
        let expected = [b_batch, &[inner, columns]].concat();
        return Err(InferError::Shape {
            operand: 1,
            expected: expected.into(),
            found: b.clone(),
        });
    }
    let batch = broadcast(&Shape::from(a_batch), &Shape::from(b_batch))?;
    one(precision, [&*batch, &[rows, columns]].concat())
}

pub(super) fn gemm(operands: &Operands<'_>, gemm: Gemm) -> Types {
    let [a, b, addend @ ..] = operands.0 else {
        return Err(InferError::Arity {
            expected: 2,
            found: operands.0.len(),
        });
    };
    let precision = operands.precision(0)?;
    expect_elements(1, b, precision)?;
    let [rows, inner] = transposed_if(extents(0, &a.shape)?, gemm.transpose_a);
    let [b_inner, columns] = transposed_if(extents(1, &b.shape)?, gemm.transpose_b);
    if inner != b_inner {
        let expected = transposed_if([inner, columns], gemm.transpose_b);
        expect_shape(1, &b.shape, expected)?;
    }
    match addend {
        [] => {}
        [addend] => {
            expect_elements(2, addend, precision)?;
            let result = Shape::from([rows, columns]);
            if addend.shape.broadcast(&result).as_ref() != Some(&result) {
                return Err(InferError::Broadcast {
                    left: addend.shape.clone(),
                    right: result,
                });
            }
        }
        _ => {
            return Err(InferError::Arity {
                expected: 3,
                found: operands.0.len(),
            });
        }
    }
    one(precision, [rows, columns])
}

fn transposed_if([rows, columns]: [usize; 2], transposed: bool) -> [usize; 2] {
    if transposed {
        [columns, rows]
    } else {
        [rows, columns]
    }
}

use super::Error;
use super::walk::{Walk, only};
use crate::graph::import::ModelNode;
use crate::graph::op::Gemm;
use crate::graph::{Op, Value};
use crate::nn::Kind;

/// `a·b`, each of them learnt where it stands in the file.
pub(super) fn matmul(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &[])?;
    let operands = [
        walk.parameter(node, 0, Kind::LinearWeight)?,
        walk.parameter(node, 1, Kind::LinearWeight)?,
    ];
    walk.single(node, Op::MatMul, &operands)
}

/// `alpha·a′·b′ + beta·c`.
pub(super) fn gemm(walk: &mut Walk<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    only(node, &["alpha", "beta", "transA", "transB"])?;
    let factor = |name| node.attributes.float(name).unwrap_or(1.0);
    let flag = |name| node.attributes.int(name).unwrap_or(0) != 0;
    let (alpha, beta) = (factor("alpha"), factor("beta"));
    let gemm = Gemm {
        transpose_a: flag("transA"),
        transpose_b: flag("transB"),
    };
    let a = walk.value(node, 0)?;
    let b = walk.parameter(node, 1, Kind::LinearWeight)?;
    let addend = if walk.has(node, 2) {
        Some(walk.parameter(node, 2, Kind::LinearBias)?)
    } else {
        None
    };
    walk.wire(node, |g| {
        let scaled = |g: &mut crate::graph::Graph, value, factor: f32| {
            if factor.to_bits() == 1.0_f32.to_bits() {
                return Ok(value);
            }
            let factor = g.scalar(factor);
            g.mul(value, factor)
        };
        let a = scaled(g, a, alpha)?;
        let addend = addend.map(|addend| scaled(g, addend, beta)).transpose()?;
        g.gemm(a, b, addend, gemm)
    })
}

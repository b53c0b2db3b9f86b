use super::Error;
use super::importer::Importer;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::Gemm;
use crate::graph::{Op, Value};
use crate::nn::ParameterKind;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("MatMul", &[], matmul),
    Operator::new("Gemm", &["alpha", "beta", "transA", "transB"], gemm),
];

/// `a·b`; initializers become trainable.
fn matmul(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let operands = [
        importer.parameter(node, 0, ParameterKind::LinearWeight)?,
        importer.parameter(node, 1, ParameterKind::LinearWeight)?,
    ];
    importer.single(node, Op::MatMul, &operands)
}

/// `alpha·a′·b′ + beta·c`.
fn gemm(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let factor = |name| node.attributes.float(name).unwrap_or(1.0);
    let flag = |name| node.attributes.int(name).unwrap_or(0) != 0;
    let (alpha, beta) = (factor("alpha"), factor("beta"));
    let gemm = Gemm {
        transpose_a: flag("transA"),
        transpose_b: flag("transB"),
    };
    let a = importer.value(node, 0)?;
    let b = importer.parameter(node, 1, ParameterKind::LinearWeight)?;
    let addend = if importer.has(node, 2) {
        Some(importer.parameter(node, 2, ParameterKind::LinearBias)?)
    } else {
        None
    };
    importer.wire(node, |g| {
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

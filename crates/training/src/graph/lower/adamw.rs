use crate::graph::op::AdamW;
use crate::graph::{Error, Graph, Value};

/// The AdamW step in elementwise operators, each of which rounds its result.
pub(super) fn decompose(g: &mut Graph, operands: &[Value], attributes: AdamW) -> Result<[Value; 3], Error> {
    let &[p, gradient, m, v, beta1, one_minus_beta1, scale2, decay, step] = operands else {
        unreachable!("type inference checked the number of operands")
    };
    let kept = g.mul(m, beta1)?;
    let taken = g.mul(gradient, one_minus_beta1)?;
    let first = g.add(kept, taken)?;

    let (beta2, one_minus_beta2) = (g.scalar(attributes.beta2), g.scalar(1.0 - attributes.beta2));
    let kept = g.mul(v, beta2)?;
    let square = g.mul(gradient, gradient)?;
    let taken = g.mul(square, one_minus_beta2)?;
    let second = g.add(kept, taken)?;

    let root = g.sqrt(second)?;
    let scaled = g.mul(root, scale2)?;
    let epsilon = g.scalar(attributes.epsilon);
    let denominator = g.add(scaled, epsilon)?;
    let direction = g.div(first, denominator)?;
    let change = g.mul(direction, step)?;
    let decayed = g.mul(p, decay)?;
    let next = g.sub(decayed, change)?;
    Ok([next, first, second])
}

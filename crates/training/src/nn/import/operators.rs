//! The table of supported operators.

use super::operator::Operator;
use super::{
    activation, attention, comparison, convolution, einsum, elementwise, fold, gather, group_norm, layout,
    linear, normalize, pad, pool, reduce, resize, variadic,
};

/// The operators of each file. A new operator is an entry in a file's `OPERATORS`, and its translation beside it.
static FILES: [&[Operator]; 17] = [
    activation::OPERATORS,
    attention::OPERATORS,
    comparison::OPERATORS,
    convolution::OPERATORS,
    einsum::OPERATORS,
    elementwise::OPERATORS,
    fold::OPERATORS,
    gather::OPERATORS,
    group_norm::OPERATORS,
    layout::OPERATORS,
    linear::OPERATORS,
    normalize::OPERATORS,
    pad::OPERATORS,
    pool::OPERATORS,
    reduce::OPERATORS,
    resize::OPERATORS,
    variadic::OPERATORS,
];

/// The operator of a name.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    FILES
        .iter()
        .copied()
        .flatten()
        .find(|operator| operator.name == name)
}

/// Names of the supported ONNX operators, sorted. Operators that are supported in constant folding only are not among them.
#[must_use]
pub fn supported() -> Vec<&'static str> {
    let operators = FILES.iter().copied().flatten();
    let mut names: Vec<&str> = operators
        .filter(|operator| !operator.is_folded())
        .map(|operator| operator.name)
        .collect();
    names.sort_unstable();
    names
}

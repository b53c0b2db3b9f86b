use std::collections::BTreeMap;

use super::Error;
use super::importer::Importer;
use super::node::node_error;
use super::operator::Operator;
use crate::graph::import::ModelNode;
use crate::graph::op::Reduce;
use crate::graph::{self, Graph, Shape, Value};
use crate::nn::ParameterKind;

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Einsum", &["equation"], einsum)];

/// A tensor with one label per axis.
struct Labelled {
    value: Value,
    labels: Vec<char>,
}

/// Einstein summation as transposes, sums and one matrix multiplication for each operand after the first; initializers become trainable.
fn einsum(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let equation: String = node.attributes.text("equation").unwrap_or_default();
    let equation: String = equation.chars().filter(|char| !char.is_whitespace()).collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, output.chars().collect()),
        None => (&*equation, implicit(&equation)),
    };
    let refused = |reason: &str| node_error(node, format!("its equation `{equation}` {reason}"));
    let mut terms = vec![];
    let mut extents = BTreeMap::new();
    for (operand, labels) in inputs.split(',').enumerate() {
        let value = importer.parameter(node, operand, ParameterKind::LinearWeight)?;
        let labels: Vec<char> = labels.chars().collect();
        let shape = importer.shape(value).clone();
        if labels.iter().any(|label| !label.is_ascii_alphabetic()) {
            return Err(refused("has an ellipsis or another sign than letters"));
        }
        if labels.len() != shape.len() {
            return Err(refused("does not fit the ranks of its operands"));
        }
        for (axis, (label, &extent)) in labels.iter().zip(&*shape).enumerate() {
            if labels[..axis].contains(label) {
                return Err(refused("has a label twice in one operand"));
            }
            if *extents.entry(*label).or_insert(extent) != extent {
                return Err(refused("gives one label to axes of different extents"));
            }
        }
        terms.push(Labelled { value, labels });
    }
    let is_once = |(at, label): (usize, &char)| extents.contains_key(label) && !output[..at].contains(label);
    if terms.len() != node.inputs.len() || !output.iter().enumerate().all(is_once) {
        return Err(refused("does not fit its operands"));
    }
    importer.wire(node, |g| {
        let mut terms = terms.into_iter();
        let mut result = terms.next().expect("an equation has a term");
        while let Some(next) = terms.next() {
            let mut needed = output.clone();
            needed.extend(terms.as_slice().iter().flat_map(|term| &term.labels));
            result = contracted(g, [result, next], &needed)?;
        }
        result = summed(g, result, &output)?;
        arranged(g, &result, &output)
    })
}

/// The output of an equation without `->`: the labels that occur once, sorted.
fn implicit(inputs: &str) -> Vec<char> {
    let mut labels: Vec<char> = inputs.chars().filter(|&label| label != ',').collect();
    labels.sort_unstable();
    let is_single = |label: &char| labels.iter().filter(|other| *other == label).count() == 1;
    labels.iter().copied().filter(is_single).collect()
}

/// Sums over the axes whose labels are not needed.
fn summed(g: &mut Graph, term: Labelled, needed: &[char]) -> Result<Labelled, graph::Error> {
    let axes: Vec<usize> = (0..term.labels.len())
        .filter(|&axis| !needed.contains(&term.labels[axis]))
        .collect();
    if axes.is_empty() {
        return Ok(term);
    }
    let keep_axes = false;
    let value = g.reduce_sum(term.value, Reduce { axes, keep_axes })?;
    let labels = term
        .labels
        .into_iter()
        .filter(|label| needed.contains(label))
        .collect();
    Ok(Labelled { value, labels })
}

/// Transposes to an order of labels.
fn arranged(g: &mut Graph, term: &Labelled, order: &[char]) -> Result<Value, graph::Error> {
    let axis = |label: &char| term.labels.iter().position(|other| other == label);
    let permutation: Vec<usize> = order.iter().filter_map(axis).collect();
    if permutation.is_sorted() {
        return Ok(term.value);
    }
    g.transpose(term.value, &permutation)
}

/// The product of two tensors, summed over their common labels that are not needed: one matrix multiplication.
fn contracted(g: &mut Graph, terms: [Labelled; 2], needed: &[char]) -> Result<Labelled, graph::Error> {
    let [left, right] = terms;
    // A label of one operand that is not needed is summed before the multiplication.
    let of_left = [needed, &right.labels].concat();
    let of_right = [needed, &left.labels].concat();
    let (left, right) = (summed(g, left, &of_left)?, summed(g, right, &of_right)?);
    let (is_left, is_right) = (
        |label: &char| left.labels.contains(label),
        |label: &char| right.labels.contains(label),
    );
    let pick = |labels: &[char], is_picked: &dyn Fn(&char) -> bool| -> Vec<char> {
        labels.iter().copied().filter(is_picked).collect()
    };
    let batch = pick(&left.labels, &|label| is_right(label) && needed.contains(label));
    let inner = pick(&left.labels, &|label| is_right(label) && !needed.contains(label));
    let rows = pick(&left.labels, &|label| !is_right(label));
    let columns = pick(&right.labels, &|label| !is_left(label));
    let extent = |label: &char| {
        let of = |term: &Labelled| {
            let axis = term.labels.iter().position(|other| other == label)?;
            Some(g.shape(term.value)[axis])
        };
        of(&left).or_else(|| of(&right)).unwrap_or(1)
    };
    let list = |labels: &[char]| labels.iter().map(extent).collect::<Vec<usize>>();
    let size = |labels: &[char]| list(labels).iter().product::<usize>();
    let batch_extents = list(&batch);
    let matrix = |first: usize, second: usize| Shape::from([&*batch_extents, &[first, second]].concat());
    let left_shape = matrix(size(&rows), size(&inner));
    let right_shape = matrix(size(&inner), size(&columns));
    let result = Shape::from([&*batch_extents, &list(&rows), &list(&columns)].concat());

    let left = arranged(g, &left, &[&*batch, &rows, &inner].concat())?;
    let right = arranged(g, &right, &[&*batch, &inner, &columns].concat())?;
    let (left, right) = (g.reshape(left, left_shape)?, g.reshape(right, right_shape)?);
    let product = g.matmul(left, right)?;
    Ok(Labelled {
        value: g.reshape(product, result)?,
        labels: [batch, rows, columns].concat(),
    })
}

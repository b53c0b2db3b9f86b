use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_training::autodiff::{Error, gradients};
use equibatch_training::graph::op::{Conv2d, Relu};
use equibatch_training::graph::{Graph, Op, TensorType, Value};

fn scalar_input(g: &mut Graph, name: &str) -> Value {
    g.input(name, TensorType::f32([])).expect("a new name")
}

fn gradient_at(g: &mut Graph, loss: Value, wrt: Value, leaves: &[(&str, f64)]) -> f64 {
    let gradient = gradients(g, loss, &[wrt]).expect("rules")[0];
    let leaves: BTreeMap<String, Array> = leaves
        .iter()
        .map(|&(name, number)| (name.to_owned(), Array::new(&[], vec![number])))
        .collect();
    evaluate(g, &leaves).of(gradient).data[0]
}

#[test]
fn a_value_used_twice_by_one_node_accumulates_both_gradients() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    let square = g.mul(x, x).expect("scalars");
    assert_eq!(gradient_at(&mut g, square, x, &[("x", 3.0)]), 6.0);
}

#[test]
fn a_value_used_by_three_nodes_accumulates_all_gradients() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    let square = g.mul(x, x).expect("scalars");
    let cube = g.mul(square, x).expect("scalars");
    let difference = g.sub(cube, x).expect("scalars");
    // d(x³ − x) = 3x² − 1.
    assert_eq!(gradient_at(&mut g, difference, x, &[("x", 2.0)]), 11.0);
}

#[test]
fn the_gradient_of_the_loss_with_respect_to_itself_is_one() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    assert_eq!(gradient_at(&mut g, x, x, &[("x", 5.0)]), 1.0);
}

#[test]
fn an_intermediate_value_has_a_gradient() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    let y = g.exp(x).expect("a scalar");
    let loss = g.mul(y, y).expect("scalars");
    assert_eq!(gradient_at(&mut g, loss, y, &[("x", 0.0)]), 2.0);
}

#[test]
fn a_piecewise_constant_operator_has_zero_gradient() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    let zero = g.scalar(0.0);
    let positive = g.greater(x, zero).expect("scalars");
    let loss = g.select(positive, x, zero).expect("scalars");
    assert_eq!(gradient_at(&mut g, loss, x, &[("x", 4.0)]), 1.0);
}

#[test]
fn a_value_that_the_loss_does_not_depend_on_is_rejected() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    let other = scalar_input(&mut g, "other");
    let loss = g.exp(x).expect("a scalar");
    let error = gradients(&mut g, loss, &[other]).expect_err("no path");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[test]
fn only_a_scalar_can_be_differentiated() {
    let mut g = Graph::new();
    let x = g.input("x", TensorType::f32([2])).expect("a new name");
    let error = gradients(&mut g, x, &[x]).expect_err("two losses");
    assert!(matches!(error, Error::NotScalar { .. }), "{error}");
}

#[test]
fn the_error_of_a_non_differentiable_operator_names_it_and_its_scope() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    let error = g.scoped("layer7", |g| {
        let y = g.exp(x).expect("a scalar");
        let gradient = g.relu_gradient(y, y, Relu::UNBOUNDED).expect("one shape");
        gradients(g, gradient, &[x]).expect_err("no second derivatives")
    });
    assert_eq!(
        error.to_string(),
        "cannot differentiate ReluGradient in `layer7`: it is itself a gradient, and only first derivatives are supported"
    );
}

#[test]
fn no_nodes_are_added_for_a_frozen_weight() {
    let mut g = Graph::new();
    let x = g.input("x", TensorType::f32([1, 2, 4, 4])).expect("a new name");
    let [frozen, trained] =
        ["frozen", "trained"].map(|name| g.parameter(name, [2, 2, 3, 3]).expect("a new name"));
    let hidden = g.conv(x, frozen, Conv2d::square(1, 1)).expect("it fits");
    let y = g.conv(hidden, trained, Conv2d::square(1, 1)).expect("it fits");
    let axes = vec![0, 1, 2, 3];
    let loss = g
        .reduce_sum(
            y,
            equibatch_training::graph::op::Reduce {
                axes,
                keep_axes: false,
            },
        )
        .expect("all axes");
    let before = g.nodes().len();
    gradients(&mut g, loss, &[trained]).expect("rules");
    let added: Vec<&str> = g.nodes()[before..].iter().map(|node| node.op.name()).collect();
    assert_eq!(added, ["Reshape", "Expand", "ConvWeightGradient"]);
}

#[test]
fn backward_nodes_have_the_scope_of_their_forward_node() {
    let mut g = Graph::new();
    let x = scalar_input(&mut g, "x");
    let loss = g
        .scoped("layer1", |g| g.scoped("act", |g| g.exp(x)))
        .expect("a scalar");
    gradients(&mut g, loss, &[x]).expect("rules");
    let last = g.nodes().last().expect("nodes were added");
    assert_eq!((last.scope.as_str(), &last.op), ("grad/layer1/act", &Op::Mul));
}

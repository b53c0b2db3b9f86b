//! Optimizers, against the formulas of PyTorch's documentation of `SGD` and `AdamW`, which a Python program transcribed and computed in double
//! precision.

use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_training::{
    graph::{Graph, TensorType},
    optim::{AdamW, GroupScalars, Optimizer, Sgd, UpdateInputs},
};

const START: [f64; 2] = [1.0, -2.0];
const GRADIENTS: [[f64; 2]; 4] = [[0.5, -1.0], [0.25, 2.0], [-1.5, 0.0], [1.0, 1.0]];
const LEARNING_RATE: f64 = 0.1;

/// A parameter after each step on [`GRADIENTS`].
fn steps(optimizer: &dyn Optimizer) -> Vec<Vec<f64>> {
    trajectory(optimizer, &GRADIENTS.map(|gradient| (LEARNING_RATE, gradient)))
}

/// A parameter, at first [`START`], after each step with a learning rate and a gradient.
pub(crate) fn trajectory(
    optimizer: &dyn Optimizer,
    rates_and_gradients: &[(f64, [f64; 2])],
) -> Vec<Vec<f64>> {
    let mut graph = Graph::new();
    let g = &mut graph;
    let scalar = |g: &mut Graph, name: &str| g.input(name, TensorType::f32([])).expect("an input");
    let group = GroupScalars {
        learning_rate: scalar(g, "learning_rate"),
        weight_decay: optimizer.weight_decay(),
        hyperparameters: optimizer
            .hyperparameters(1, None)
            .iter()
            .map(|(name, _)| scalar(g, name))
            .collect(),
    };
    let slots = optimizer.slots();
    let inputs = UpdateInputs {
        scope: "update".to_owned(),
        parameter: g.parameter("parameter", [2]).expect("a parameter"),
        gradient: g.input("gradient", TensorType::f32([2])).expect("an input"),
        slots: slots
            .iter()
            .map(|slot| g.parameter(slot, [2]).expect("a parameter"))
            .collect(),
    };
    let updated = optimizer
        .emit(g, &group, &[inputs])
        .expect("equal shapes")
        .remove(0);
    let mut leaves: BTreeMap<String, Array> = slots
        .iter()
        .map(|slot| ((*slot).to_owned(), Array::zeros(&[2])))
        .collect();
    leaves.insert("parameter".to_owned(), Array::new(&[2], START.to_vec()));
    let mut steps = vec![];
    for (step, &(rate, gradient)) in (1..).zip(rates_and_gradients) {
        leaves.insert("learning_rate".to_owned(), Array::new(&[], vec![rate]));
        leaves.insert("gradient".to_owned(), Array::new(&[2], gradient.to_vec()));
        for (name, value) in optimizer.hyperparameters(step, None) {
            leaves.insert(name.to_owned(), Array::new(&[], vec![value]));
        }
        let evaluation = evaluate(&graph, &leaves);
        let next = evaluation.of(updated.parameter).clone();
        for (slot, &value) in slots.iter().zip(&updated.slots) {
            leaves.insert((*slot).to_owned(), evaluation.of(value).clone());
        }
        steps.push(next.data.clone());
        leaves.insert("parameter".to_owned(), next);
    }
    steps
}

fn close(found: &[f64], expected: [f64; 2], case: &dyn std::fmt::Debug) {
    for (found, expected) in found.iter().zip(expected) {
        // Constants of the graph are rounded to single precision.
        assert!((found - expected).abs() < 1e-7, "{case:?}: {found}, {expected}");
    }
}

#[test]
fn sgd_follows_pytorch() {
    let heavy = Sgd::default().momentum(0.9);
    for (sgd, first, last) in [
        (
            Sgd::default().weight_decay(0.5),
            [0.9, -1.8],
            [0.791_575, -1.823_775],
        ),
        (heavy, [0.95, -1.9], [0.9453, -2.2981]),
        (heavy.nesterov(), [0.905, -1.81], [0.925_77, -2.468_29]),
        (heavy.weight_decay(0.5), [0.9, -1.8], [0.545_65, -1.466_925]),
        (
            heavy.weight_decay(0.5).nesterov(),
            [0.81, -1.62],
            [0.432_733_513_75, -1.411_928_902_5],
        ),
    ] {
        let steps = steps(&sgd);
        // The first momentum buffer is the gradient.
        close(&steps[0], first, &sgd);
        close(&steps[3], last, &sgd);
    }
}

#[test]
fn adamw_follows_pytorch() {
    let adamw = AdamW::default().weight_decay(0.5);
    close(&steps(&adamw)[3], [0.670_941_644_4, -1.648_104_876_8], &adamw);
}

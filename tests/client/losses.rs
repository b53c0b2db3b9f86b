//! Losses and their gradients against PyTorch (see `generate/losses.py`) and against finite differences.

use equibatch_client::learn::targets::Loss;
use equibatch_harness::checkout;
use equibatch_stream::Mixed;
use equibatch_training::{
    autodiff::gradients,
    graph::{Graph, TensorType, Value},
    nn,
};
use std::collections::BTreeMap;

use equibatch_client_tests::{
    interpreter::{Array, evaluate},
    onnx_runtime,
};
use equibatch_engine::random::{Purpose, generator};
use rand::Rng as _;
use serde_json::Value as Json;

/// A graph of the loss alone, with the gradient of its logits, to which `offsets` are added.
fn graph(rows: usize, classes: usize, focal: f32, offsets: &[f32]) -> (Graph, Value, Value) {
    let mut graph = Graph::new();
    let [logits, targets] =
        ["logits", "targets"].map(|name| graph.input(name, TensorType::f32([rows, classes])).unwrap());
    let adjusted = nn::add_offsets(&mut graph, logits, offsets).unwrap();
    let loss = nn::loss(&mut graph, adjusted, targets, focal).unwrap();
    let gradient = gradients(&mut graph, loss, &[logits]).unwrap()[0];
    graph.output("loss", loss).unwrap();
    graph.output("gradient", gradient).unwrap();
    (graph, loss, gradient)
}

pub(super) fn numbers(value: &Json) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

pub(super) fn labels(value: &Json) -> Vec<u32> {
    numbers(value).into_iter().map(|label| label as u32).collect()
}

pub(super) fn matrix(value: &Json) -> Array {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Array::new(&[rows.len(), rows[0].len()], rows.concat())
}

/// The targets that the trainer computes for a case.
fn targets(fixture: &Json, loss: &Loss, is_mixed: bool, classes: usize) -> Array {
    let first = labels(&fixture["labels"]);
    let others = labels(&fixture["others"]);
    let parts = numbers(&fixture["parts"]);
    let mixed: Vec<Mixed> = others
        .into_iter()
        .zip(parts)
        .map(|(label, part)| Mixed {
            label,
            weight: part as f32,
        })
        .collect();
    let mixed = is_mixed.then_some(mixed.as_slice());
    let mut targets = vec![f32::NAN; first.len() * classes];
    loss.targets(&first, mixed, &mut targets);
    let targets = targets.iter().map(|&target| f64::from(target)).collect();
    Array::new(&[first.len(), classes], targets)
}

/// The losses and gradients of all cases at their logits less `offsets`, which the loss adds again. Targets are rounded to single precision; a
/// focal loss adds 1e-7 to `1 − p`. On ONNX Runtime everything is in single precision.
fn check(offsets: &[f32]) {
    let path = checkout::fixture("losses.json");
    let fixture: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let logits = matrix(&fixture["logits"]);
    let (rows, classes) = (logits.shape[0], logits.shape[1]);
    let offset = |place: usize| {
        offsets
            .get(place % classes)
            .map_or(0.0, |&offset| f64::from(offset))
    };
    let moved = logits.data.iter().enumerate().map(|(place, x)| x - offset(place));
    let moved = Array::new(&logits.shape, moved.collect());
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let mut settings = case["settings"].clone();
        let is_mixed = settings.as_object_mut().unwrap().remove("mixed").is_some();
        let loss: Loss = serde_json::from_value(settings).unwrap();
        let targets = targets(&fixture, &loss, is_mixed, classes);
        let leaves = BTreeMap::from([
            ("logits".to_owned(), moved.clone()),
            ("targets".to_owned(), targets),
        ]);
        let (graph, value, gradient) = graph(rows, classes, loss.focal, offsets);
        let expected = [
            Array::new(&[], vec![case["loss"].as_f64().unwrap()]),
            matrix(&case["gradient"]),
        ];
        let exact = evaluate(&graph, &leaves);
        let single = onnx_runtime::run(&graph, &leaves).unwrap();
        for (what, value, expected) in [
            ("loss", value, &expected[0]),
            ("gradient", gradient, &expected[1]),
        ] {
            let largest = expected.largest();
            let off = exact.of(value).distance(expected) / largest;
            assert!(off < 5e-7, "{name}: the {what} is off by {off:e}");
            let off = single[what].distance(expected) / largest;
            assert!(off < 2e-6, "{name}: the {what} on ONNX Runtime is off by {off:e}");
        }
    }
}

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    check(&[]);
}

/// Exact in binary, so that logits less offsets are, too.
#[test]
fn adjusted_losses_are_those_of_pytorch_at_the_adjusted_logits() {
    check(&[-2.5, 0.25, -0.5, -4.0]);
}

#[test]
fn gradients_of_losses_are_their_derivatives() {
    let (rows, classes) = (7, 5);
    for (seed, focal) in [0.0, 0.25, 1.0, 2.0, 5.0].into_iter().enumerate() {
        let mut random = generator(seed as u64, Purpose::new(11), &[]);
        let mut uniform = || f64::from(random.next_u32()) / f64::from(u32::MAX);
        let mut filled = |low: f64, high: f64| {
            let data = (0..rows * classes).map(|_| low + (high - low) * uniform());
            Array::new(&[rows, classes], data.collect())
        };
        let (logits, targets, direction) = (filled(-3.0, 3.0), filled(0.0, 1.0), filled(-1.0, 1.0));
        let (graph, loss, gradient) = graph(rows, classes, focal, &[]);
        let at = |step: f64| {
            let moved = logits.data.iter().zip(&direction.data).map(|(x, u)| x + step * u);
            let moved = Array::new(&logits.shape, moved.collect());
            evaluate(
                &graph,
                &BTreeMap::from([
                    ("logits".to_owned(), moved),
                    ("targets".to_owned(), targets.clone()),
                ]),
            )
        };
        let step = 1e-5;
        let difference = (at(step).of(loss).data[0] - at(-step).of(loss).data[0]) / (2.0 * step);
        let derivative = at(0.0).of(gradient).dot(&direction);
        assert!(
            (difference - derivative).abs() < 1e-7 * derivative.abs().max(1.0),
            "γ = {focal}: {difference} is not {derivative}"
        );
    }
}

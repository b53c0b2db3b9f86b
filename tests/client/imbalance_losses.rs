//! Cosine heads, margins, class weights, label-aware smoothing, and optimizers with schedules, against PyTorch (see
//! `generate/imbalance_losses.py`).

use std::collections::BTreeMap;

use equibatch_client::learn::{class_weights::ClassWeights, optimizer::OptimizerConfig, targets::Loss};
use equibatch_client_tests::{
    interpreter::{Array, evaluate},
    onnx_runtime,
};
use equibatch_harness::checkout;
use equibatch_stream::{ClassCounts, DatasetDescription, Mixed};
use equibatch_training::{
    autodiff::gradients,
    graph::{Graph, TensorType, Value, op::Gemm},
    nn,
};
use serde_json::Value as Json;

use super::{
    compiler::optimizers::trajectory,
    losses::{labels, matrix, numbers},
};

fn fixture() -> Json {
    let path = checkout::fixture("imbalance_losses.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Its weights are the only use of a description here.
fn described(images: &[u32]) -> DatasetDescription {
    let class = |&images: &u32| ClassCounts {
        name: String::new(),
        images_per_split: [("train".to_owned(), images)].into(),
        inverse_frequency_weight: f64::NAN,
        effective_number_weight: f64::NAN,
    };
    DatasetDescription {
        name: String::new(),
        fingerprint: String::new(),
        classes: images.iter().map(class).collect(),
        splits: vec![],
        quarantined: vec![],
        max_streams: 0,
    }
}

/// The loss of a linear or cosine head, with the gradients of features and weights.
fn graph(
    [rows, features, classes]: [usize; 3],
    cosine: Option<f32>,
    has_margins: bool,
) -> (Graph, [Value; 3]) {
    let mut graph = Graph::new();
    let mut input = |name: &str, shape: [usize; 2]| graph.input(name, TensorType::f32(shape)).unwrap();
    let [x, weight] = [input("x", [rows, features]), input("weight", [classes, features])];
    let targets = input("targets", [rows, classes]);
    let margins = has_margins.then(|| input("margins", [rows, classes]));
    let g = &mut graph;
    let gemm = Gemm {
        transpose_a: false,
        transpose_b: true,
    };
    let mut logits = match cosine {
        Some(scale) => nn::cosine(g, x, (weight, 0), scale).unwrap(),
        None => g.gemm(x, weight, None, gemm).unwrap(),
    };
    if let Some(margins) = margins {
        logits = g.sub(logits, margins).unwrap();
    }
    let loss = nn::loss(g, logits, targets, 0.0).unwrap();
    let gradients = gradients(g, loss, &[x, weight]).unwrap();
    let values = [loss, gradients[0], gradients[1]];
    for (name, value) in ["loss", "x.gradient", "weight.gradient"].into_iter().zip(values) {
        graph.output(name, value).unwrap();
    }
    (graph, values)
}

#[test]
fn losses_for_imbalanced_classes_are_those_of_pytorch() {
    let fixture = fixture();
    let [x, weight] = ["x", "weight"].map(|name| matrix(&fixture[name]));
    let [first, others] = ["labels", "others"].map(|name| labels(&fixture[name]));
    let images = labels(&fixture["images"]);
    let parts = numbers(&fixture["parts"]);
    let mixed = others.into_iter().zip(parts).map(|(label, part)| Mixed {
        label,
        weight: part as f32,
    });
    let mixed: Vec<Mixed> = mixed.collect();
    let scale = fixture["scale"].as_f64().unwrap() as f32;
    let extents = [x.shape[0], x.shape[1], weight.shape[0]];
    let cases = fixture["losses"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let mut settings = case["settings"].clone();
        let is_mixed = settings.as_object_mut().unwrap().remove("mixed").is_some();
        let mut loss: Loss = serde_json::from_value(settings).unwrap();
        if loss.class_weights != ClassWeights::None {
            loss.weights = loss.class_weights.of(&described(&images));
        }
        loss.resolve(&images, scale);
        let mut targets = vec![f32::NAN; extents[0] * extents[2]];
        loss.targets(&first, is_mixed.then_some(&*mixed), &mut targets);
        let array = |numbers: &[f32]| {
            let numbers = numbers.iter().map(|&number| f64::from(number));
            Array::new(&[extents[0], extents[2]], numbers.collect())
        };
        let margins = loss.margins_of(&first, 0);
        let cosine = case["is_cosine"].as_bool().unwrap().then_some(scale);
        let (graph, values) = graph(extents, cosine, margins.is_some());
        let leaves = [
            ("x", x.clone()),
            ("weight", weight.clone()),
            ("targets", array(&targets)),
        ];
        let leaves = leaves
            .into_iter()
            .chain(margins.map(|margins| ("margins", array(&margins))));
        let leaves: BTreeMap<String, Array> = leaves.map(|(name, array)| (name.to_owned(), array)).collect();
        let expected = [
            Array::new(&[], vec![case["loss"].as_f64().unwrap()]),
            matrix(&case["x"]),
            matrix(&case["weight"]),
        ];
        let exact = evaluate(&graph, &leaves);
        let single = onnx_runtime::run(&graph, &leaves).unwrap();
        let outputs = ["loss", "x.gradient", "weight.gradient"];
        for ((what, value), expected) in outputs.into_iter().zip(values).zip(&expected) {
            let largest = expected.largest();
            // Targets and margins are rounded to single precision.
            let off = exact.of(value).distance(expected) / largest;
            assert!(off < 5e-7, "{name}: {what} is off by {off:e}");
            let off = single[what].distance(expected) / largest;
            assert!(off < 2e-6, "{name}: {what} on ONNX Runtime is off by {off:e}");
        }
    }
}

#[test]
fn optimizers_with_schedules_are_those_of_pytorch() {
    const STEPS_PER_EPOCH: u64 = 3;
    let fixture = fixture();
    let gradients: Vec<Vec<f64>> = fixture["gradients"]
        .as_array()
        .unwrap()
        .iter()
        .map(numbers)
        .collect();
    let epochs = u32::try_from(gradients.len()).unwrap() / STEPS_PER_EPOCH as u32;
    let cases = fixture["optimizers"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let config: OptimizerConfig = serde_json::from_value(case["settings"].clone()).unwrap();
        assert_eq!(config.conflict(epochs), None);
        let schedule = config.schedule(STEPS_PER_EPOCH, epochs);
        let steps = (0..).zip(&gradients);
        let steps = steps.map(|(step, gradient)| (0.1 * schedule.at(step), [gradient[0], gradient[1]]));
        let found = trajectory(&*config.build(0.25), &steps.collect::<Vec<_>>());
        let expected = numbers(&case["parameter"]);
        for (found, expected) in found.last().unwrap().iter().zip(expected) {
            let off = (found - expected).abs();
            // Constants of the graph are rounded to single precision.
            assert!(off < 1e-6, "{}: off by {off:e}", case["settings"]);
        }
    }
}

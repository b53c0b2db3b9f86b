//! The built-in networks have torchvision's tensors, and its logits for the same weights.

use equibatch_harness::checkout;
use std::collections::BTreeMap;

use equibatch_client_tests::{interpreter::Array, onnx_runtime};
use equibatch_training::program::{Backbone, Head, ModelSpec, ResNet, Tensor, inference, state_shapes};
use serde_json::Value as Json;

const IMAGES: usize = 2;
const SIZE: usize = 64;
const CLASSES: usize = 10;

/// The numbers written by `generate/architectures.py`.
fn golden() -> Json {
    let path = checkout::fixture("architectures.json");
    serde_json::from_slice(&std::fs::read(path).expect("the fixture")).expect("JSON")
}

fn spec(name: &str, classes: usize) -> ModelSpec {
    ModelSpec::ResNet(ResNet {
        head: Head::Plain,
        image_size: SIZE,
        ..ResNet::new(name.parse::<Backbone>().expect("a network"), classes)
    })
}

/// Numbers in [-1, 1) by SplitMix64, as the generating program has them.
fn uniform(stream: u64, count: usize) -> impl Iterator<Item = f32> {
    let mut state = stream << 40;
    (0..count).map(move |_| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let z = z ^ (z >> 31);
        ((z >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0) as f32
    })
}

fn filled(name: &str, shape: &[usize], stream: u64) -> Tensor {
    let scaled = |number: f64| match shape {
        [_, rest @ ..] if !rest.is_empty() => number * (6.0 / rest.iter().product::<usize>() as f64).sqrt(),
        _ if name.ends_with("running_var") => 1.0 + 0.5 * number,
        _ if name.ends_with("weight") => 0.5 + 0.2 * number,
        _ => 0.1 * number,
    };
    let numbers = uniform(stream, shape.iter().product());
    Tensor {
        shape: shape.into(),
        data: numbers.map(|number| scaled(f64::from(number)) as f32).collect(),
    }
}

#[test]
fn networks_have_torchvisions_parameters() {
    for (name, expected) in golden()["networks"].as_object().expect("networks") {
        let shapes = state_shapes(&spec(name, 1000)).expect("a valid model");
        let trained = shapes.iter().filter(|(name, _)| !name.contains("running"));
        let parameters: usize = trained.map(|(_, shape)| shape.elements()).sum();
        assert_eq!(parameters, expected["parameters"], "{name}");
        assert_eq!(shapes.len(), expected["tensors"], "{name}");
    }
}

#[test]
fn networks_compute_what_torchvisions_compute() {
    let images = uniform(0, IMAGES * 3 * SIZE * SIZE).map(f64::from).collect();
    let images = Array::new(&[IMAGES, 3, SIZE, SIZE], images);
    for (name, expected) in golden()["networks"].as_object().expect("networks") {
        let model = spec(name, CLASSES);
        let shapes = state_shapes(&model).expect("a valid model");
        let state: BTreeMap<String, Tensor> = (1..)
            .zip(&shapes)
            .map(|(stream, (name, shape))| (name.clone(), filled(name, shape, stream)))
            .collect();
        let program = inference(&model, &state, &[]).expect("a valid model");
        let found = onnx_runtime::run_model(&program.model, "images", &images, "logits").expect("it runs");
        let rows = expected["logits"].as_array().expect("rows");
        let rows = rows.iter().flat_map(|row| row.as_array().expect("a row"));
        let expected = Array::new(
            &[IMAGES, CLASSES],
            rows.map(|number| number.as_f64().expect("a number")).collect(),
        );
        let error = found.distance(&expected) / expected.largest();
        // Rounding of a hundred layers in single precision.
        assert!(error < 1e-4, "{name} is off by {error:e}");
    }
}

//! Single operators that PyTorch exported, against PyTorch (see `generate/operators.py`).

use std::{collections::BTreeMap, fs, sync::Arc};

use equibatch_client_tests::{
    interpreter::{Array, evaluate},
    onnx_runtime,
};
use equibatch_harness::checkout;
use equibatch_training::{
    autodiff::gradients,
    graph::{Graph, TensorType, Value, op::Reduce},
    nn::{Builder, Mode},
    program::{ModelSpec, OnnxGraph, import, inference, initial_state},
};

use crate::golden::{error, fixture};

/// Names of the fixtures.
fn names() -> Vec<String> {
    let folder = checkout::fixture("operators");
    let names = fs::read_dir(folder).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".onnx").map(str::to_owned)
    });
    let names: Vec<String> = names.collect();
    assert!(names.len() > 50, "{names:?}");
    names
}

fn read(name: &str) -> OnnxGraph {
    let bytes = fs::read(checkout::fixture("operators").join(format!("{name}.onnx"))).unwrap();
    of(&bytes)
}

fn of(bytes: &[u8]) -> OnnxGraph {
    OnnxGraph::new(import::read(bytes, &|_| unreachable!("it is one file")).unwrap())
}

fn is_close(name: &str, what: &str, found: &Array, expected: &Array, bound: f64) {
    assert_eq!(found.shape, expected.shape, "{name}: {what}");
    // The gradient of a bias before a norm is zero up to rounding, so it has no relative error.
    let (off, bound) = match expected.largest() < 1e-12 {
        true => (found.distance(expected), 1e-5),
        false => (error(found, expected), bound),
    };
    assert!(off < bound, "{name}: {what} is off by {off:e}");
}

/// In double precision only the fixtures and constants such as 1/6 are rounded, by 6e-8 each. Exactly those initializers are trained that
/// have a gradient in PyTorch.
#[test]
fn operators_and_their_gradients_are_those_of_pytorch() {
    let golden = fixture("operators/all.safetensors");
    for name in names() {
        let of_name = |key: &str| golden[&format!("{name}/{key}")].clone();
        let network = read(&name);
        let mut graph = Graph::new();
        let [(input, x_type)] = &*network.inputs(1).unwrap() else {
            panic!("{name} has one input")
        };
        let x = graph.input(input, x_type.clone()).unwrap();
        let mut builder = Builder::new(&mut graph, Mode::Train);
        let outputs = network.build(&mut builder, &[x]);
        let y = outputs.unwrap_or_else(|error| panic!("{name}: {error}"))[0].1;
        let state = network.state(&builder, 0);
        let parameters: Vec<(String, Value)> = builder
            .parameters()
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.value))
            .collect();
        let weights = graph.input("w", TensorType::f32(graph.shape(y).clone())).unwrap();
        let product = graph.mul(y, weights).unwrap();
        let axes = (0..graph.shape(y).len()).collect();
        let total = Reduce {
            axes,
            keep_axes: false,
        };
        let loss = graph.reduce_sum(product, total).unwrap();
        let wrt: Vec<Value> = [x]
            .into_iter()
            .chain(parameters.iter().map(|pair| pair.1))
            .collect();
        let gradients = gradients(&mut graph, loss, &wrt).unwrap_or_else(|error| panic!("{name}: {error}"));

        let mut leaves = BTreeMap::from([("x".to_owned(), of_name("x")), ("w".to_owned(), of_name("w"))]);
        leaves.extend(state.iter().map(|(key, tensor)| {
            let data = tensor.data.iter().map(|&number| f64::from(number));
            (key.clone(), Array::new(&tensor.shape, data.collect()))
        }));
        let values = evaluate(&graph, &leaves);
        is_close(&name, "y", values.of(y), &of_name("y"), 2e-6);
        is_close(&name, "dx", values.of(gradients[0]), &of_name("dx"), 2e-6);
        let prefix = format!("{name}/d/");
        let expected = golden.keys().filter_map(|key| key.strip_prefix(&prefix));
        let mut found: Vec<&str> = parameters.iter().map(|(key, _)| &**key).collect();
        found.sort_unstable();
        assert_eq!(expected.collect::<Vec<_>>(), found, "{name}");
        for ((key, _), gradient) in parameters.iter().zip(&gradients[1..]) {
            is_close(
                &name,
                key,
                values.of(*gradient),
                &of_name(&format!("d/{key}")),
                2e-6,
            );
        }
    }
}

/// Import, export and import again; both exports compute on ONNX Runtime what PyTorch computes.
#[test]
fn exported_operators_compute_what_pytorch_computes() {
    let golden = fixture("operators/all.safetensors");
    for name in names() {
        let first = ModelSpec::Graph(Arc::new(read(&name)));
        let state = initial_state(&first, 0).unwrap();
        let once = inference(&first, &state, &[]).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let second = ModelSpec::Graph(Arc::new(of(&once.model)));
        let kept = initial_state(&second, 0).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(
            kept == state,
            "{name}: {:?} instead of {:?}",
            kept.keys(),
            state.keys()
        );
        let twice = inference(&second, &kept, &[]).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        for program in [once, twice] {
            let x = &golden[&format!("{name}/x")];
            let y = onnx_runtime::run_model(&program.model, "x", x, "y");
            let y = y.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            is_close(&name, "y", &y, &golden[&format!("{name}/y")], 2e-5);
        }
    }
}

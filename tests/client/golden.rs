//! Numbers that PyTorch computed, kept in `fixtures/` by the programs in `generate/`.

use equibatch_harness::checkout;
use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_client_tests::onnx_runtime;
use equibatch_training::graph::{Graph, Shape};
use equibatch_training::nn::{Backbone, Head};
use equibatch_training::program::{
    ElementType, ModelSpec, ResNet, Role, Signature, Tensor, TrainSpec, train_graph,
};
use safetensors::{Dtype, SafeTensors};

/// The tensors written by `generate/train_step.py`.
pub(crate) const WHOLE: &str = "train_step.safetensors";
pub(crate) const STEPS: usize = 3;
const BETA1: [f64; STEPS] = [0.95, 0.9, 0.85];
const BETA2: f64 = 0.99;
const CLASSES: usize = 3;
const LEARNING_RATES: [f64; 3] = [1e-3, 3e-3, 1e-2];

/// The network of `generate/train_step.py`.
pub(crate) fn spec() -> TrainSpec {
    let model = ModelSpec::ResNet(ResNet {
        backbone: Backbone {
            width: 4,
            ..Backbone::RESNET18
        },
        head: Head::Fastai {
            hidden: 16,
            dropout: [0.25, 0.5],
        },
        classes: CLASSES,
        image_size: 64,
    });
    TrainSpec::new(model, 6)
}

/// The same with a frozen body, as in `generate/frozen.py`.
fn frozen() -> TrainSpec {
    spec().freeze_layers(2)
}

pub(crate) fn fixture(name: &str) -> BTreeMap<String, Array> {
    let path = checkout::fixture(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let array = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let data = view.data();
        let numbers: Vec<f64> = match view.dtype() {
            Dtype::F32 => words(data)
                .map(|word| f64::from(f32::from_le_bytes(word)))
                .collect(),
            Dtype::F16 => words(data)
                .map(|word| f64::from(half::f16::from_le_bytes(word)))
                .collect(),
            Dtype::I64 => words(data).map(|word| i64::from_le_bytes(word) as f64).collect(),
            other => panic!("{name} is {other:?}"),
        };
        let array = Array::new(view.shape(), numbers);
        (name, array)
    };
    tensors.tensors().into_iter().map(array).collect()
}

fn words<const SIZE: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; SIZE]> {
    bytes
        .chunks_exact(SIZE)
        .map(|word| word.try_into().expect("the chunk has that size"))
}

/// One way to run a graph: named leaves to named outputs.
pub(crate) type Run = fn(&Graph, &BTreeMap<String, Array>) -> BTreeMap<String, Array>;

pub(crate) fn interpreted(graph: &Graph, leaves: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let evaluation = evaluate(graph, leaves);
    graph
        .outputs()
        .iter()
        .map(|(name, value)| (name.clone(), evaluation.of(*value).clone()))
        .collect()
}

pub(crate) fn on_onnx_runtime(graph: &Graph, leaves: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    onnx_runtime::run(graph, leaves).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Three training steps: the tensors that PyTorch's program stored, under the same names.
fn train(run: Run, spec: &TrainSpec, golden: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let (graph, signature) = train_graph(spec).expect("a valid step");
    let mut state = initial(&signature, golden);
    let mut results = BTreeMap::new();
    for step in 0..STEPS {
        let leaves = state
            .clone()
            .into_iter()
            .chain(inputs(&signature, golden, step))
            .collect();
        let mut outputs = run(&graph, &leaves);
        for pair in &signature.state {
            if let Some(next) = &pair.output {
                state.insert(pair.input.clone(), outputs.remove(next).expect("an output"));
            }
        }
        for name in ["loss", "logits"] {
            results.insert(format!("{name}.{step}"), outputs.remove(name).expect("an output"));
        }
        if step == 0 {
            for pair in signature
                .state
                .iter()
                .filter(|pair| pair.name.starts_with("first_moment."))
            {
                // From zero, the first moment is (1 − β₁) times the gradient.
                let mut gradient = state[&pair.input].clone();
                gradient
                    .data
                    .iter_mut()
                    .for_each(|element| *element /= 1.0 - BETA1[0]);
                let parameter = pair.name.strip_prefix("first_moment.").expect("a moment's name");
                results.insert(format!("gradient/{parameter}"), gradient);
            }
        }
    }
    for pair in &signature.state {
        if matches!(pair.role, Role::Parameter | Role::Statistic) {
            results.insert(format!("final/{}", pair.name), state[&pair.input].clone());
        }
    }
    results
}

pub(crate) fn initial(signature: &Signature, golden: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let start = |pair: &equibatch_training::program::StatePair| {
        let array = match pair.role {
            Role::Parameter | Role::Statistic => golden[&format!("initial/{}", pair.name)].clone(),
            Role::Average => {
                let of = pair.name.strip_prefix("average.").expect("an average's name");
                golden[&format!("initial/{of}")].clone()
            }
            Role::Optimizer | Role::Gradient | Role::Staged => Array::zeros(&pair.shape),
        };
        (pair.input.clone(), array)
    };
    signature.state.iter().map(start).collect()
}

pub(crate) fn inputs(
    signature: &Signature,
    golden: &BTreeMap<String, Array>,
    step: usize,
) -> BTreeMap<String, Array> {
    let exponent = i32::try_from(step + 1).expect("three steps");
    let input = |name: &str| match name {
        "beta1" => Array::new(&[], vec![BETA1[step]]),
        "bias_correction1" => Array::new(&[], vec![1.0 - BETA1[step].powi(exponent)]),
        "bias_correction2" => Array::new(&[], vec![1.0 - BETA2.powi(exponent)]),
        "average_decay" => golden["decay"].clone(),
        name => match name.strip_prefix("learning_rate.") {
            Some(group) => Array::new(
                &[],
                vec![LEARNING_RATES[group.parse::<usize>().expect("a group")]],
            ),
            None if name == "targets" => targets(&golden[&format!("batch/{step}/labels")]),
            None => golden[&format!("batch/{step}/{name}")].clone(),
        },
    };
    signature
        .inputs
        .iter()
        .map(|info| (info.name.clone(), input(&info.name)))
        .collect()
}

/// The targets of labels for the mean cross entropy.
fn targets(labels: &Array) -> Array {
    let count = labels.data.len();
    Array::from_fn(&[count, CLASSES], |index| {
        f64::from(u8::from(labels.data[index[0]] == index[1] as f64)) / count as f64
    })
}

/// How far a result is off, relative to the largest element expected.
pub(crate) fn error(found: &Array, expected: &Array) -> f64 {
    found.distance(expected) / expected.largest().max(1e-30)
}

/// In double precision the graph agrees with PyTorch's double precision up to the rounding of the fixture
/// and of the graph's constants to single precision.
#[test]
fn three_steps_in_double_precision_equal_pytorch() {
    let golden = fixture(WHOLE);
    let found = train(interpreted, &spec(), &golden);
    for (name, found) in &found {
        let error = error(found, &golden[name]);
        assert!(error < 2e-5, "{name} is off by {error:e}");
    }
    // Losses and logits; 20 convolutions, 22 batch norms and 2 linear layers before and after; running statistics.
    assert_eq!(found.len(), 2 * STEPS + 2 * (20 + 2 * 22 + 2 * 2) + 2 * 22);
}

/// In single precision the network amplifies rounding (a ReLU near zero, a batch norm over few elements), so the tolerance of each tensor is a small
/// multiple of PyTorch's own error in single precision on the same numbers.
#[test]
fn three_steps_on_onnx_runtime_are_as_exact_as_pytorch() {
    let golden = fixture(WHOLE);
    for (name, found) in &train(on_onnx_runtime, &spec(), &golden) {
        is_as_exact_as_pytorch(name, found, &golden);
    }
}

fn is_as_exact_as_pytorch(name: &str, found: &Array, golden: &BTreeMap<String, Array>) {
    let error = error(found, &golden[name]);
    let theirs = golden[&format!("error/{name}")].data[0];
    assert!(
        error < 10.0 * theirs + 2e-4,
        "{name} is off by {error:e}, PyTorch by {theirs:e}"
    );
}

/// With a frozen body, batch norms and the head are updated as in PyTorch, and convolutions are unchanged.
#[test]
fn three_frozen_steps_equal_pytorch() {
    let (whole, golden) = (fixture(WHOLE), fixture("frozen.safetensors"));
    let exact = train(interpreted, &frozen(), &whole);
    let single = train(on_onnx_runtime, &frozen(), &whole);
    let names = golden.keys().filter(|name| !name.starts_with("error/"));
    for name in names {
        let error = error(&exact[name], &golden[name]);
        assert!(error < 2e-5, "{name} is off by {error:e}");
        is_as_exact_as_pytorch(name, &single[name], &golden);
    }
    let mut frozen = 0;
    for (name, found) in &single {
        if name.starts_with("final/") && !golden.contains_key(name) {
            assert_eq!(
                found.data,
                whole[&name.replace("final", "initial")].data,
                "{name}"
            );
            frozen += 1;
        }
    }
    assert_eq!(frozen, 20, "convolutions");
}

/// A trained network predicts as in PyTorch's evaluation mode.
#[test]
fn inference_equals_pytorch() {
    let golden = fixture(WHOLE);
    let model = spec().model;
    let state = golden
        .iter()
        .filter_map(|(name, array)| Some((name.strip_prefix("final/")?.to_owned(), tensor(array))))
        .collect();
    let program = equibatch_training::program::inference(&model, &state, &[]).expect("a valid model");
    assert_eq!(program.signature.inputs[0].element_type, ElementType::F32);
    let images = &golden["batch/0/images"];
    let found = onnx_runtime::run_model(&program.model, "images", images, "logits").expect("it runs");
    let error = error(&found, &golden["inference"]);
    assert!(error < 1e-4, "off by {error:e}");
    let few = Array::new(&[2, 3, 64, 64], images.data[..2 * 3 * 64 * 64].to_vec());
    let probabilities =
        onnx_runtime::run_model(&program.model, "images", &few, "probabilities").expect("it runs");
    assert_eq!(probabilities.shape, [2, 3]);
    for row in probabilities.data.chunks(3) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    }
}

fn tensor(array: &Array) -> Tensor {
    Tensor {
        shape: Shape::from(&*array.shape),
        data: array.data.iter().map(|&number| number as f32).collect(),
    }
}

//! Networks from ONNX files: what PyTorch exports, and what PyTorch computes of it (see `generate/networks.py`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use equibatch_client::{
    graph::{Graph, fuse::fuse},
    learn::network,
    program::{ModelSpec, Role, Signature, TrainSpec, inference, initial_state, train_graph},
};
use equibatch_tests::{
    images::ImageFolder,
    interpreter::Array,
    onnx_runtime,
    process::{ServerProcess, client},
};
use serde_json::Value;

use super::golden::{Run, error, fixture, interpreted, on_onnx_runtime};

pub(super) const NETWORKS: [&str; 4] = ["cnn", "mlp", "mobile", "resnet"];
const CLASSES: usize = 3;
const BATCH: usize = 4;
const BETA1: f64 = 0.9;

fn file(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/networks");
    fixtures.join(format!("{name}.onnx"))
}

pub(super) fn spec(name: &str, classes: usize) -> ModelSpec {
    let network = network::read(&file(name)).unwrap();
    ModelSpec {
        foreign: Some(Arc::new(network)),
        image_size: 32,
        ..ModelSpec::new("resnet18".parse().unwrap(), classes)
    }
}

fn array(tensor: &equibatch_client::program::Tensor) -> Array {
    let data = tensor.data.iter().map(|&number| f64::from(number));
    Array::new(&tensor.shape, data.collect())
}

/// What a step on the images of a fixture reads.
fn leaves(
    spec: &ModelSpec,
    signature: &Signature,
    golden: &BTreeMap<String, Array>,
) -> BTreeMap<String, Array> {
    let state = initial_state(spec, 0).unwrap();
    let pairs = signature.state.iter().map(|pair| {
        let start = match pair.role {
            Role::Parameter | Role::Statistic => array(&state[&pair.name]),
            _ => Array::zeros(&pair.shape),
        };
        (pair.input.clone(), start)
    });
    let labels = &golden["labels"];
    let mask = |name: &str| signature.dropout.iter().position(|dropout| dropout.name == name);
    let inputs = signature.inputs.iter().map(|input| {
        let array = match (&*input.name, mask(&input.name)) {
            ("images", _) => golden["images"].clone(),
            ("targets", _) => Array::from_fn(&[BATCH, CLASSES], |at| {
                f64::from(u8::from(labels.data[at[0]] == at[1] as f64)) / BATCH as f64
            }),
            (_, Some(place)) => golden[&format!("mask.{place}")].clone(),
            ("beta1", _) => Array::new(&[], vec![BETA1]),
            _ => Array::new(&[], vec![0.5]),
        };
        (input.name.clone(), array)
    });
    pairs.chain(inputs).collect()
}

/// One step, as far as the fixture has it, under the fixture's names.
fn step(run: Run, name: &str, golden: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let spec = spec(name, CLASSES);
    let (graph, signature) = train_graph(&TrainSpec::new(spec.clone(), BATCH)).unwrap();
    let mut outputs = run(&graph, &leaves(&spec, &signature, golden));
    let mut results = BTreeMap::new();
    for pair in &signature.state {
        let next = pair.output.as_ref().map(|next| outputs.remove(next).unwrap());
        match (pair.role, next) {
            (Role::FirstMoment, Some(mut moment)) => {
                // From zero, it is (1 − β₁) times the gradient.
                moment.data.iter_mut().for_each(|number| *number /= 1.0 - BETA1);
                let parameter = pair.name.strip_prefix("first_moment.").unwrap();
                results.insert(format!("gradient/{parameter}"), moment);
            }
            (Role::Statistic, Some(next)) => {
                results.insert(format!("after/{}", pair.name), next);
            }
            _ => {}
        }
    }
    for output in ["loss", "logits"] {
        results.insert(output.to_owned(), outputs.remove(output).unwrap());
    }
    results
}

fn fused(graph: &Graph, leaves: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    on_onnx_runtime(&fuse(graph).unwrap(), leaves)
}

/// What is trained of each network is what PyTorch trains of it, and nothing else: every gradient of the fixture is there, and no other.
fn compare(run: Run, is_close: impl Fn(f64, f64) -> bool) {
    for name in NETWORKS {
        let golden = fixture(&format!("networks/{name}.safetensors"));
        let found = step(run, name, &golden);
        let expected = |name: &&String| {
            ["loss", "logits"].contains(&&***name)
                || name.starts_with("gradient/")
                || name.starts_with("after/")
        };
        let names: Vec<&String> = golden.keys().filter(expected).collect();
        assert_eq!(names, found.keys().collect::<Vec<_>>(), "{name}");
        for (tensor, found) in &found {
            let expected = &golden[tensor];
            // The gradient of a bias in front of a batch norm is zero but for rounding, and nothing is relative to it.
            let (off, theirs) = if expected.largest() < 1e-12 {
                (found.largest(), 0.0)
            } else {
                (error(found, expected), golden[&format!("error/{tensor}")].data[0])
            };
            assert!(
                is_close(off, theirs),
                "{name}: {tensor} is off by {off:e}, PyTorch in single precision by {theirs:e}"
            );
        }
    }
}

/// In double precision only the fixture's results and constants such as 1/6 are rounded, to 6e-8 each; gradients add them up.
#[test]
fn gradients_of_exported_networks_are_those_of_pytorch() {
    compare(interpreted, |off, _| off < 2e-5);
}

/// In single precision another order of sums may cost what PyTorch's own costs, and a few roundings more.
#[test]
fn exported_networks_train_on_onnx_runtime_as_exactly_as_in_pytorch() {
    compare(on_onnx_runtime, |off, theirs| off < 10.0 * theirs + 2e-6);
    compare(fused, |off, theirs| off < 10.0 * theirs + 2e-6);
}

#[test]
fn exported_networks_predict_as_in_pytorch() {
    for name in NETWORKS {
        let golden = fixture(&format!("networks/{name}.safetensors"));
        let spec = spec(name, CLASSES);
        let program = inference(&spec, &initial_state(&spec, 0).unwrap(), &[]).unwrap();
        let found = onnx_runtime::run_model(&program.model, "images", &golden["images"], "logits").unwrap();
        let off = error(&found, &golden["inference"]);
        let theirs = golden["error/inference"].data[0];
        assert!(
            off < 10.0 * theirs + 2e-6,
            "{name} is off by {off:e}, PyTorch by {theirs:e}"
        );
    }
}

/// The last layer alone starts anew, in the layout of the file.
#[test]
fn another_number_of_classes_gets_another_last_layer() {
    for name in NETWORKS {
        let [kept, changed] = [CLASSES, 5].map(|classes| initial_state(&spec(name, classes), 3).unwrap());
        let differing: Vec<&String> = kept.keys().filter(|name| kept[*name] != changed[*name]).collect();
        let shapes: Vec<_> = differing
            .iter()
            .map(|name| changed[*name].shape.to_vec())
            .collect();
        assert_eq!(differing.len(), 2, "{name}: {differing:?}");
        assert!(
            shapes.iter().all(|shape| shape.contains(&5)),
            "{name}: {shapes:?}"
        );
        let (graph, _) = train_graph(&TrainSpec::new(spec(name, 5), 2)).unwrap();
        let logits = graph
            .outputs()
            .iter()
            .find(|(name, _)| name == "logits")
            .unwrap()
            .1;
        assert_eq!(**graph.shape(logits), [2, 5]);
    }
}

fn train(server: &str, arguments: &[&str]) -> std::process::Output {
    let usual = ["train", "--server", server, "--threads", "1", "--no-tensorboard"];
    client(&[&usual[..], arguments].concat())
}

#[test]
fn a_network_from_a_file_is_trained_resumed_and_judged() {
    let images = ImageFolder::new(&[("birds", 12), ("flowers", 24)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (net, run) = (path("net.onnx"), path("run"));
    fs::copy(file("cnn"), &net).unwrap();
    let settings = [
        "--model",
        &net,
        "--size",
        "32",
        "--batch-size",
        "8",
        "--epochs",
        "2",
        "--out",
        &run,
    ];
    let output = train(&server.address, &settings);
    assert!(output.status.success(), "{output:?}");
    let config: Value = serde_json::from_slice(&fs::read(path("run/config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["arch"], &config["head"]),
        (&Value::from(&*net), &"own".into())
    );

    let arguments = [
        "predict",
        "--json",
        "--threads",
        "1",
        "--model",
        &path("run/model.onnx"),
    ];
    let image = images.file("birds", 1);
    let output = client(&[&arguments[..], &[image.to_str().unwrap()]].concat());
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(record["probabilities"]["birds"].as_f64().is_some(), "{record}");

    // What it is made of must be what it was, wherever it lies.
    let moved = path("moved.onnx");
    fs::copy(&net, &moved).unwrap();
    let output = train(
        &server.address,
        &[
            "--load",
            &run,
            "--model",
            &moved,
            "--epochs",
            "1",
            "--out",
            &path("next"),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    fs::write(&net, fs::read(file("mobile")).unwrap()).unwrap();
    let output = train(
        &server.address,
        &["--load", &run, "--epochs", "1", "--out", &path("last")],
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{errors}");
    assert!(
        errors.contains("net.onnx has changed since training began"),
        "{errors}"
    );
}

#[test]
fn networks_that_cannot_be_trained_are_named_with_what_is_in_the_way() {
    let images = ImageFolder::new(&[("birds", 12), ("flowers", 24)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let renamed = |from: &str, pairs: &[(&str, &str)]| {
        let mut bytes = fs::read(file(from)).unwrap();
        for (old, new) in pairs {
            assert_eq!(old.len(), new.len(), "lengths stand in the file");
            let places: Vec<usize> = bytes
                .windows(old.len())
                .enumerate()
                .filter(|(_, window)| *window == old.as_bytes())
                .map(|(place, _)| place)
                .collect();
            assert!(!places.is_empty(), "{old}");
            for place in places {
                bytes[place..place + old.len()].copy_from_slice(new.as_bytes());
            }
        }
        bytes
    };
    let (unknown, damaged, whole) = (path("unknown.onnx"), path("damaged.onnx"), path("whole.onnx"));
    fs::write(
        &unknown,
        renamed("cnn", &[("HardSwish", "SoftSwish"), ("MaxPool", "MinPool")]),
    )
    .unwrap();
    fs::write(&damaged, &fs::read(file("cnn")).unwrap()[..5000]).unwrap();
    fs::copy(file("cnn"), &whole).unwrap();
    for (arguments, code, messages) in [
        (
            &["--model", &*unknown][..],
            65,
            &["MinPool` is a MinPool, which is not among the supported operators (nor is SoftSwish): Add "][..],
        ),
        (&["--model", &damaged], 65, &["damaged.onnx as a model"]),
        (
            &["--model", "nowhere.onnx"],
            64,
            &["--model", "nowhere.onnx", "No such file"],
        ),
        (&["--model", &whole, "--arch", "resnet18"], 64, &["--arch"]),
        (&["--model", &whole, "--weights", "none"], 64, &["--weights"]),
    ] {
        let usual = ["--size", "32", "--batch-size", "8", "--epochs", "1", "--out"];
        let out = path("run");
        let output = train(&server.address, &[arguments, &usual[..], &[&out]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        for message in messages {
            assert!(errors.contains(message), "{errors}");
        }
        assert!(!Path::new(&out).exists());
    }
}

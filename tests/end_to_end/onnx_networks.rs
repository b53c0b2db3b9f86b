//! Networks from ONNX files, trained, resumed and refused by the client program.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use equibatch_client::learn::{checkpoint::Checkpoint, network};
use equibatch_harness::{
    checkout,
    images::ImageFolder,
    process::{ServerProcess, arguments, client, text},
};
use equibatch_training::program::{Classifier, ModelSpec, initial_state, parameter_names};
use serde_json::Value;

fn file(name: &str) -> PathBuf {
    checkout::fixture(&format!("networks/{name}.onnx"))
}

fn train(server: &str, arguments: &[&str]) -> std::process::Output {
    let usual = ["train", "--server", server, "--threads", "1", "--no-tensorboard"];
    client(&[&usual[..], arguments].concat())
}

/// Parameters of a run that differ from those of its network's file, sorted.
fn changed(run: &str, net: &str) -> Vec<String> {
    let checkpoint = Checkpoint::load(&Path::new(run).join("checkpoint.safetensors")).unwrap();
    let network = network::read(Path::new(net)).unwrap();
    let spec = ModelSpec::Classifier(Classifier {
        network: Arc::new(network),
        classes: 2,
        image_size: 32,
    });
    let start = initial_state(&spec, checkpoint.progress.config.seed).unwrap();
    let names = parameter_names(&spec).unwrap().into_iter();
    let mut names: Vec<String> = names
        .filter(|name| start[name].data != checkpoint.tensors[name].data)
        .collect();
    names.sort();
    names
}

#[test]
fn a_network_from_a_file_is_trained_resumed_and_evaluated() {
    let images = ImageFolder::new(&[("birds", 12), ("flowers", 24)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (net, run) = (path("net.onnx"), path("run"));
    fs::copy(file("cnn"), &net).unwrap();
    let settings = arguments(
        "--size 32 --batch-size 8 --epochs 2 --model",
        &[&net, "--out", &run],
    );
    let output = train(&server.address, &settings);
    assert!(output.status.success(), "{output:?}");
    let config: Value = serde_json::from_slice(&fs::read(path("run/config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["arch"], &config["head"]),
        (&Value::from(&*net), &"own".into())
    );
    // The file has three classes, so the last layer is initialised again, and the body is frozen.
    assert_eq!(config["frozen"], Value::from("all"));
    assert_eq!(changed(&path("run"), &net), ["9.bias", "9.weight"]);

    let (said, other) = (path("said"), [&settings[..8], &["--out"]].concat());
    let output = train(
        &server.address,
        &[&other[..], &[&said, "--freeze=^[0-4]\\.", "--head", "^(4|9)\\."]].concat(),
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(changed(&said, &net), ["5.bias", "5.weight", "9.bias", "9.weight"]);

    let (model, image) = (path("run/model.onnx"), images.file("birds", 1));
    let output = client(&arguments(
        "predict --json --threads 1 --model",
        &[&model, text(&image)],
    ));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(record["probabilities"]["birds"].as_f64().is_some(), "{record}");

    // The network's file may be moved, but not changed.
    let moved = path("moved.onnx");
    fs::copy(&net, &moved).unwrap();
    let next = path("next");
    let output = train(
        &server.address,
        &["--load", &run, "--model", &moved, "--epochs", "1", "--out", &next],
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
fn networks_that_cannot_be_trained_are_refused_with_the_reason() {
    let images = ImageFolder::new(&[("birds", 12), ("flowers", 24)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let renamed = |from: &str, pairs: &[(&str, &str)]| {
        let mut bytes = fs::read(file(from)).unwrap();
        for (old, new) in pairs {
            assert_eq!(old.len(), new.len(), "names in the file keep their length");
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
            &[
                "2 nodes are not supported: ",
                "MinPool` (MinPool: unknown operator); ",
                "SoftSwish` (SoftSwish: unknown operator); the supported operators are Abs ",
            ][..],
        ),
        (&["--model", &damaged], 65, &["damaged.onnx as a model"]),
        (
            &["--model", "nowhere.onnx"],
            64,
            &["--model", "nowhere.onnx", "No such file"],
        ),
        (&["--model", &whole, "--arch", "resnet18"], 64, &["--arch"]),
        (&["--model", &whole, "--weights", "none"], 64, &["--weights"]),
        (
            &["--model", &whole, "--head", "classifier"],
            64,
            &["--head classifier: no tensor name of", "whole.onnx"],
        ),
        (
            &["--model", &whole, "--freeze=encoder"],
            64,
            &["--freeze=encoder: no parameter name matches", "0.weight"],
        ),
        (
            &["--model", &whole, "--freeze=."],
            64,
            &["--freeze=.: it matches all parameters"],
        ),
        (&["--head", "linear"], 64, &["--head", "unknown head `linear`"]),
        (
            &["--freeze=layer("],
            64,
            &["--freeze", "invalid regular expression"],
        ),
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

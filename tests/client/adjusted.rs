//! Class frequencies, temperature and threshold built into an exported model: what ONNX Runtime computes of the file, and who uses the metadata.

use equibatch_client::learn::{card::ModelCard, prior::ClassShares, run::RunConfig};
use equibatch_training::program::{Backbone, ModelSpec, ResNet, import, inference, initial_state};
use std::{fs, process::Output};

use equibatch_harness::{checkout, images::ImageFolder, process::client};
use serde_json::Value;
use tempfile::TempDir;

use super::predict_script::python;

/// Prints logits and metadata of each model for the same noise images, with nothing but ONNX Runtime and NumPy.
const READER: &str = r#"
import json, sys
import numpy as np, onnxruntime
read = []
for path in sys.argv[1:]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(3).normal(size=(3, 3, 32, 32)).astype(np.float32)
    logits, probabilities = session.run(["logits", "probabilities"], {"images": images})
    metadata = session.get_modelmeta().custom_metadata_map
    read.append({"logits": logits.tolist(), "probabilities": probabilities.tolist(), "metadata": metadata})
print(json.dumps(read))
"#;

/// An untrained model of 20 birds and 180 flowers, of a natural stream.
struct Model {
    folder: TempDir,
    shares: ClassShares,
}

impl Model {
    fn new() -> Self {
        let shares = ClassShares::of(vec![20, 180], &[20.0, 180.0], &[], 0.0);
        let config = RunConfig {
            classes: ["birds", "flowers"].map(str::to_owned).to_vec(),
            arch: "resnet18@4".to_owned(),
            image_size: 32,
            canonical_short_side: 37,
            class_shares: shares.clone(),
            ..RunConfig::default()
        };
        let backbone = Backbone {
            width: 4,
            ..Backbone::RESNET18
        };
        let spec = ModelSpec::ResNet(ResNet {
            image_size: 32,
            ..ResNet::new(backbone, 2)
        });
        let state = initial_state(&spec, 5).unwrap();
        let program = inference(&spec, &state, &ModelCard::metadata(&config)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.onnx"), program.model).unwrap();
        Self { folder, shares }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn export(&self, from: &str, options: &[&str], to: &str) -> Output {
        let usual = [
            "export",
            "--threads",
            "1",
            "--model",
            &self.path(from),
            "--out",
            &self.path(to),
        ];
        client(&[&usual, options].concat())
    }

    /// Exports, and returns standard output.
    fn exported(&self, from: &str, options: &[&str], to: &str) -> String {
        let output = self.export(from, options, to);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Rows of two numbers.
fn rows(value: &Value) -> Vec<[f64; 2]> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Largest difference of the rows from those of `expected`.
fn difference(found: &Value, expected: &[[f64; 2]]) -> f64 {
    let found = rows(found);
    assert_eq!(found.len(), expected.len());
    let pairs = found.as_flattened().iter().zip(expected.as_flattened());
    pairs
        .map(|(found, expected)| (found - expected).abs())
        .fold(0.0, f64::max)
}

#[test]
fn adjustments_are_in_the_logits_that_onnx_runtime_computes_and_in_the_metadata() {
    let Some(mut python) = python() else {
        eprintln!("SKIPPED: no Python with NumPy in .tools/python; `make python-tools` installs it");
        return;
    };
    let model = Model::new();
    model.exported("model.onnx", &[], "plain.onnx");
    model.exported("model.onnx", &["--prior", "uniform"], "uniform.onnx");
    model.exported("uniform.onnx", &["--prior", "train"], "back.onnx");
    let all = [
        "--prior",
        "birds=0.3",
        "--tau",
        "0.5",
        "--temperature",
        "2",
        "--threshold",
        "0.4",
    ];
    let printed = model.exported("model.onnx", &all, "all.onnx");
    assert!(
        printed.contains("adjusted: class frequencies birds=0.3 with tau 0.5; temperature 2.000; birds from probability 0.400 on"),
        "{printed}"
    );
    assert!(
        printed.contains("class frequencies: trained on birds 0.1000, flowers 0.9000; adjusted to birds "),
        "{printed}"
    );
    let operators = |name: &str| {
        let file = fs::read(model.path(name)).unwrap();
        let model = import::read(&file, &|_| unreachable!("one file")).unwrap();
        let operators = model.nodes.into_iter().map(|node| node.operator);
        operators.collect::<Vec<_>>()
    };
    // The adjustments are in the last layer's weight and bias.
    for name in ["uniform.onnx", "back.onnx", "all.onnx"] {
        assert_eq!(operators(name), operators("plain.onnx"), "{name}");
    }
    let files = ["plain.onnx", "uniform.onnx", "back.onnx", "all.onnx"].map(|name| model.path(name));
    let output = python.args(["-c", READER]).args(&files).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let read: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let [plain, uniform, back, all] = &*read else {
        panic!("four models")
    };

    let natural = rows(&plain["logits"]);
    let shares = &model.shares.assumed;
    let adjusted = |wanted: [f64; 2], tau: f64, temperature: f64| -> Vec<[f64; 2]> {
        let offset = |class: usize| tau * (wanted[class].ln() - shares[class].ln());
        let row = |row: &[f64; 2]| [0, 1].map(|class| (row[class] + offset(class)) / temperature);
        natural.iter().map(row).collect()
    };
    for (name, found, expected) in [
        ("uniform", uniform, adjusted([0.5, 0.5], 1.0, 1.0)),
        ("there and back", back, natural.clone()),
        ("all", all, adjusted([0.3, 0.7], 0.5, 2.0)),
    ] {
        let off = difference(&found["logits"], &expected);
        assert!(off < 1e-6, "{name}: {off:e}");
        let probabilities = expected.iter().map(|row| {
            let birds = 1.0 / (1.0 + (row[1] - row[0]).exp());
            [birds, 1.0 - birds]
        });
        let off = difference(&found["probabilities"], &probabilities.collect::<Vec<_>>());
        assert!(off < 1e-6, "{name}: {off:e}");
    }

    let metadata = |model: &Value, key: &str| -> Option<Value> {
        let text = model["metadata"].get(key)?.as_str().unwrap();
        Some(serde_json::from_str(text).unwrap())
    };
    assert_eq!(metadata(plain, "adjustments"), None);
    let shares = metadata(uniform, "class_shares").unwrap();
    for (key, expected) in [("trained", [0.1, 0.9]), ("assumed", [0.5, 0.5])] {
        let off = difference(&serde_json::json!([shares[key]]), &[expected]);
        assert!(off < 1e-12, "{key}: {shares}");
    }
    let adjustments = metadata(all, "adjustments").unwrap();
    assert_eq!(
        adjustments["prior"],
        serde_json::json!({ "prior": "birds=0.3", "tau": 0.5 })
    );
    assert_eq!(adjustments["temperature"]["value"], 2.0);
    assert_eq!(
        adjustments["threshold"],
        serde_json::json!({ "class": "birds", "probability": 0.4 })
    );
}

#[test]
fn the_threshold_of_the_metadata_decides_and_the_reader_is_told() {
    let (model, images) = (Model::new(), ImageFolder::new(&[("birds", 2), ("flowers", 2)]));
    let root = images.root().to_str().unwrap().to_owned();
    let files: Vec<String> = ["birds", "flowers"]
        .map(|class| images.file(class, 1).to_str().unwrap().to_owned())
        .to_vec();
    let predicted = |name: &str, options: &[&str]| {
        let output = client(
            &[
                &[
                    "predict",
                    "--threads",
                    "1",
                    "--json",
                    "--model",
                    &model.path(name),
                    &root,
                ],
                options,
            ]
            .concat(),
        );
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let records: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (records, String::from_utf8(output.stderr).unwrap())
    };
    for (threshold, class) in [("0.0001", "birds"), ("0.9999", "flowers")] {
        let name = format!("{class}.onnx");
        model.exported("model.onnx", &["--threshold", threshold], &name);
        for (name, options) in [(&*name, &[][..]), ("model.onnx", &["--threshold", threshold])] {
            let (records, words) = predicted(name, options);
            assert_eq!(records.len(), 4);
            for record in &records {
                assert_eq!(record["class"], class, "{record}");
                assert_eq!(record["probability"], record["probabilities"][class]);
            }
            assert!(
                words.contains("the model is adjusted: birds from probability"),
                "{words}"
            );
        }
        if let Some(mut python) = python() {
            let script = checkout::path("docs/how-to/predict.py");
            let output = python
                .arg(script)
                .arg(model.path(&name))
                .args(&files)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            let lines = String::from_utf8(output.stdout).unwrap();
            assert!(
                lines.lines().all(|line| line.split('\t').nth(1) == Some(class)),
                "{lines}"
            );
            let words = String::from_utf8(output.stderr).unwrap();
            assert!(words.contains("\"class\": \"birds\""), "{words}");
        }
    }
    // Other class frequencies end a threshold that was chosen before.
    let (_, words) = predicted("birds.onnx", &["--prior", "uniform"]);
    for line in [
        "the model is adjusted: class frequencies uniform\n",
        "trained on birds 0.1000, flowers 0.9000; adjusted to birds 0.5000, flowers 0.5000\n",
    ] {
        assert!(words.contains(line), "{words}");
    }
    let (_, words) = predicted("model.onnx", &[]);
    assert!(words.is_empty(), "{words}");
}

#[test]
fn invalid_temperatures_and_thresholds_are_refused() {
    let model = Model::new();
    for (option, message) in [
        (["--threshold", "1"], "between 0 and 1"),
        (["--threshold", "accuracy"], "cost:FP,FN"),
        (["--temperature", "0"], "a number from 0.01 to 100"),
    ] {
        let output = model.export("model.onnx", &option, "out.onnx");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(message), "{errors}");
    }
}

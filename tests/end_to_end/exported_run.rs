//! `client export` of a run: the exported model predicts and evaluates as the run.

use equibatch_harness::process::{arguments, client, text};
use equibatch_training::program::import;
use std::{collections::BTreeMap, fs};

use super::setup::{Setup, evaluated_model};

#[test]
fn an_exported_run_predicts_and_evaluates_as_the_run() {
    let setup = Setup::new();
    let run = setup.run_folder("--epochs 2");
    let (run, exported) = (text(&run), setup.text("exported.onnx"));
    let options = "export --fold --preprocess u8 --layout nhwc --opset 15 --threads 1 --out";
    let output = client(&arguments(options, &[&exported, run]));
    assert!(output.status.success(), "{output:?}");
    let model = import::read(&fs::read(&exported).unwrap(), &|_| unreachable!("one file")).unwrap();
    assert_eq!(model.opset, 15);
    assert!(
        model
            .nodes
            .iter()
            .all(|node| node.operator != "BatchNormalization")
    );
    assert_eq!(
        model.inputs[0].shape,
        [None, Some(32), Some(32), Some(3)],
        "the batch dimension is free"
    );
    let metadata: BTreeMap<_, _> = model.metadata.into_iter().collect();
    assert_eq!(metadata["classes"], r#"["birds","flowers"]"#);
    let input: serde_json::Value = serde_json::from_str(&metadata["input"]).unwrap();
    assert_eq!(input["inside"], "(pixel / 255 - mean) / std");
    assert_eq!(
        (&input["element_type"], &input["layout"]),
        (&"u8".into(), &"NHWC".into())
    );

    let probabilities = |model: &str| -> Vec<f64> {
        let files = [setup.images.file("birds", 1), setup.images.file("flowers", 2)];
        let files = files.each_ref().map(|file| file.to_str().unwrap());
        let output = client(&arguments(
            "predict --json --threads 1 --model",
            &[model, files[0], files[1]],
        ));
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let records = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        records
            .map(|record| record["probabilities"]["birds"].as_f64().unwrap())
            .collect()
    };
    let (of_run, of_export) = (
        probabilities(&format!("{run}/model.onnx")),
        probabilities(&exported),
    );
    for (run, export) in of_run.iter().zip(&of_export) {
        // The exported model's input is rounded to bytes.
        assert!((run - export).abs() < 0.02, "{of_run:?} {of_export:?}");
    }

    let evaluated = |arguments: &[&str]| {
        let output = setup.output("evaluate", &[&["--json"], arguments].concat());
        let model = evaluated_model(&output);
        (model["images"].clone(), model["loss"].as_f64().unwrap())
    };
    let (images_of_run, loss_of_run) = evaluated(&[run]);
    let (images_of_export, loss_of_export) = evaluated(&["--model", &exported]);
    assert_eq!(images_of_run, images_of_export);
    assert!(
        (loss_of_run - loss_of_export).abs() < 0.02,
        "{loss_of_run} {loss_of_export}"
    );
}

/// What is fitted to validation images when a model is exported is what an evaluation fits, and the file alone is evaluated equally.
#[test]
fn a_temperature_and_a_threshold_are_fitted_to_validation_images() {
    let setup = Setup::new();
    let run = setup.run_folder("--epochs 2");
    let (run, exported) = (text(&run), setup.text("exported.onnx"));
    let fitted = ["--temperature", "fit", "--threshold", "balanced-accuracy"];
    let output = setup.output("export", &[&fitted[..], &["--out", &exported, run]].concat());
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("fitted to 6 validation images")
            && printed.contains("best balanced-accuracy on 6 validation images"),
        "{printed}"
    );
    let evaluated = |arguments: &[&str]| {
        let output = setup.output("evaluate", &[&["--json"], arguments].concat());
        evaluated_model(&output)
    };
    let (plain, of_run) = (evaluated(&[run]), evaluated(&[&fitted[..], &[run]].concat()));
    let of_export = evaluated(&["--model", &exported]);
    for path in ["/temperature/value", "/threshold/probability"] {
        let [of_run, of_export] =
            [&of_run, &of_export].map(|of| of["adjustments"].pointer(path).unwrap().as_f64().unwrap());
        assert!((of_run - of_export).abs() < 1e-9, "{path}: {of_run} {of_export}");
    }
    assert_eq!(of_run["confusion_matrix"], of_export["confusion_matrix"]);
    let number = |of: &serde_json::Value, key: &str| of[key].as_f64().unwrap();
    assert!((number(&of_run, "loss") - number(&of_export, "loss")).abs() < 1e-4);
    assert!(
        number(&of_run, "loss") <= number(&plain, "loss") + 1e-6,
        "{of_run} {plain}"
    );
    assert!(number(&of_run, "balanced_accuracy") >= number(&plain, "balanced_accuracy"));
    let threshold = &of_run["adjustments"]["threshold"];
    assert_eq!(
        (&threshold["class"], &threshold["images"]),
        (&"birds".into(), &6.into())
    );
    assert_eq!(threshold["interval"]["method"], "bootstrap");

    let output = setup.output("evaluate", &[run]);
    let printed = String::from_utf8(output.stdout).unwrap();
    for part in [
        "combined Wilson",
        "few-shot",
        "too few images to compare models by (see the intervals): birds has 2 images",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let file = |name: &str| fs::read_to_string(format!("{run}/evaluation-{name}")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&file("valid.json")).unwrap();
    assert_eq!(json["balanced_accuracy"], plain["balanced_accuracy"]);
    assert_eq!(json["figures"]["balanced_accuracy"], plain["balanced_accuracy"]);
    assert!(file("valid.html").contains("id=\"reliability\""));
    assert!(file("valid-temperature-threshold.html").contains("birds from probability"));
}

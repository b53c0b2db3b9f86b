//! `client export` of a run: the exported model predicts and evaluates as the run.

use equibatch_harness::process::{arguments, client, text};
use equibatch_training::program::import;
use std::{collections::BTreeMap, fs};

use super::setup::Setup;

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
        assert!(output.status.success(), "{output:?}");
        let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let model = figures["models"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone();
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

//! `client tune`: the best of several arms, by images that no training has used.

use std::{fs, path::Path};

use equibatch_harness::process::{ServerProcess, arguments, client, text};
use serde_json::Value;

use super::{compare::images_with_test, setup::evaluated_model};

fn tune(server: &str, out: &Path, more: &[&str]) -> std::process::Output {
    let usual = "tune --arch resnet18@4 --size 32 --batch-size 8 --epochs 1 --threads 1 --recipe flip --seed 5 --server";
    let usual = arguments(usual, &[server, "--out", text(out), "--json"]);
    client(&[&usual[..], more].concat())
}

#[test]
fn tuning_leaves_the_run_of_the_best_arm_and_says_why() {
    let images = images_with_test();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tuning");
    let output = tune(&server.address, &out, &["--arms", "natural,natural+prior"]);
    assert!(output.status.success(), "{output:?}");
    let tuning: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Two validation birds say nothing: all images are evaluated, in five folds.
    assert_eq!(
        (&tuning["comparison"]["images"], &tuning["comparison"]["folds"]),
        (&30.into(), &5.into())
    );
    // Ten birds do not tell them apart: the one with equal class frequencies is preferred.
    let losses = [0, 1].map(|arm| tuning["candidates"][arm]["balanced_loss"].as_f64().unwrap());
    assert_eq!(tuning["chosen"], "natural+prior", "{losses:?}");
    assert_eq!(tuning["candidates"][1]["result"], "chosen");
    let [reason, criterion] = ["reason", "criterion"].map(|key| tuning[key].as_str().unwrap());
    assert!(
        reason.contains("class-balanced log loss") && reason.contains("with cross-validation with 5 folds"),
        "{reason}"
    );
    assert!(
        criterion.contains("adjusted before other corrections before natural"),
        "{criterion}"
    );

    // The final model was trained on all images but those of the test, in a folder like any other run's.
    assert_eq!(tuning["run"], text(&out.join("natural-5-all")));
    let config: Value =
        serde_json::from_slice(&fs::read(out.join("natural-5-all/config.json")).unwrap()).unwrap();
    assert_eq!(config["class_shares"]["images"], serde_json::json!([10, 20]));
    assert!(out.join("natural-5-all/report.html").exists());
    // The model beside it has the arm's prior built in.
    let errors = |arguments: &[&str]| -> Value {
        let usual = arguments_of_evaluate(&server.address);
        let output = client(&[&usual[..], arguments].concat());
        evaluated_model(&output)["confusion_matrix"].clone()
    };
    let (run, model) = (out.join("natural-5-all"), out.join("model.onnx"));
    let prior = ["--prior", "uniform"];
    assert_eq!(
        errors(&[
            "--model",
            text(&model),
            "--dataset",
            config["dataset"].as_str().unwrap()
        ]),
        errors(&[&[text(&run)], &prior[..]].concat())
    );
    let page = fs::read_to_string(out.join("tune.html")).unwrap();
    for words in [
        "What was tried",
        "Held-out images",
        "evaluated with --prior uniform",
        "balanced log loss",
        "Chosen by the lowest class-balanced log loss",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }

    // Without a minute to spare the first training runs, and what needs no other.
    let out = folder.path().join("short");
    let arms = [
        "--arms",
        "natural,natural+prior+tta,oversample",
        "--folds",
        "off",
        "--minutes",
        "0.0001",
    ];
    let output = tune(&server.address, &out, &arms);
    assert!(output.status.success(), "{output:?}");
    let tuning: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(tuning["candidates"][2]["result"], "not tried: the time was up");
    assert_eq!(tuning["comparison"]["arms"].as_array().unwrap().len(), 2);
    assert_eq!(
        tuning["comparison"]["too_few"],
        serde_json::json!([["birds", 2], ["flowers", 4]])
    );
    assert!(!out.join("oversample-5").exists());

    // Nor is an arm chosen by a part of the folds: that one is trained which is known to be better.
    let out = folder.path().join("short-folds");
    let output = tune(
        &server.address,
        &out,
        &["--arms", "natural,adjusted", "--minutes", "0.0001"],
    );
    assert!(output.status.success(), "{output:?}");
    let tuning: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(tuning["chosen"], "adjusted");
    assert!(
        tuning["reason"]
            .as_str()
            .unwrap()
            .contains("the only one that there was time to evaluate"),
        "{tuning}"
    );
    assert!(!out.join("natural-5-fold-1").exists());
}

fn arguments_of_evaluate(server: &str) -> Vec<&str> {
    arguments("evaluate --json --threads 1 --split test --server", &[server])
}

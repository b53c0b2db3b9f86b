//! Heads that are fitted to features of a frozen body, and running statistics that are estimated again.

use std::{collections::BTreeMap, fs, path::Path};

use equibatch_harness::process::arguments;
use equibatch_training::runtime::Tensor;
use serde_json::Value as Json;

use super::setup::{SMALL, Setup, checkpoint};

fn tensors(folder: &Path) -> BTreeMap<String, Tensor> {
    checkpoint(&folder.join("checkpoint.safetensors")).tensors
}

fn lines(file: &Path) -> Vec<Json> {
    let text = fs::read_to_string(file).expect("a file");
    let parsed = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    parsed.collect()
}

/// The rows of a tensor of two axes.
fn rows(tensor: &Tensor) -> Vec<&[f32]> {
    tensor.data.chunks(tensor.shape[1]).collect()
}

fn norm(row: &[f32]) -> f64 {
    row.iter()
        .map(|element| f64::from(*element).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn a_head_on_kept_features_is_a_run_like_any_other() {
    let setup = Setup::new();
    let before = setup.text("before");
    setup.trained(
        &[
            &SMALL[..],
            &["--epochs", "1", "--head", "plain", "--out", &before],
        ]
        .concat(),
    );
    let fitted = |steps: &str, name: &str| {
        let out = setup.text(name);
        let usual = "--freeze=all --epochs 2 --balance oversample --head-steps";
        setup.trained(&arguments(usual, &[steps, "--load", &before, "--out", &out]))
    };
    let out = fitted("40", "one");
    assert!(out.contains("features of 64 images are kept"), "{out}");
    let folder = setup.path("one");
    let steps = lines(&folder.join("steps.jsonl"));
    assert_eq!(steps.len(), 40);
    let epochs = lines(&folder.join("metrics.jsonl"));
    assert_eq!(epochs.len(), 1, "one evaluation");
    assert_eq!((&epochs[0]["epoch"], &epochs[0]["steps"]), (&2.into(), &8.into()));
    assert!(
        epochs[0]["train_loss"].as_f64() < steps[0]["loss"].as_f64(),
        "{epochs:?}"
    );

    // Only the head has moved, and the same way each time.
    let [body, one] = ["before", "one"].map(|name| tensors(&setup.path(name)));
    for (name, tensor) in body.iter().filter(|(name, _)| !name.contains("_moment.")) {
        assert_eq!(one[name] == *tensor, !name.starts_with("fc."), "{name}");
    }
    fitted("40", "two");
    assert!(one == tensors(&setup.path("two")));
    let out = setup.trained(&["--resume", &setup.text("one")]);
    assert!(out.contains("already complete"), "{out}");

    let out = fitted("auto", "best");
    assert!(!out.contains("not finished"), "{out}");
    let best = setup.path("best");
    assert_eq!(
        lines(&best.join("steps.jsonl")).len(),
        0,
        "the optimum needs no steps"
    );
    let optimum = &lines(&best.join("metrics.jsonl"))[0]["train_loss"];
    assert!(optimum.as_f64() < steps[0]["loss"].as_f64(), "{optimum}");
    let best = tensors(&best);
    for (name, tensor) in body.iter().filter(|(name, _)| !name.contains("_moment.")) {
        assert_eq!(best[name] == *tensor, !name.starts_with("fc."), "{name}");
    }
    let out = setup.trained(&["--resume", &setup.text("best")]);
    assert!(out.contains("already complete"), "{out}");

    let (code, _, errors) = setup.train(&[&SMALL[..], &["--head-steps", "auto"]].concat());
    assert_eq!(code, Some(64), "{errors}");
    assert!(
        errors.contains("--head-steps auto needs --freeze=all"),
        "{errors}"
    );
    let (code, _, errors) = setup.train(&[&SMALL[..], &["--head-fit", "scales"]].concat());
    assert_eq!(code, Some(64), "{errors}");
    assert!(errors.contains("--head-fit needs --head-steps"), "{errors}");
}

#[test]
fn of_a_head_of_cosines_the_best_of_several_is_kept() {
    let setup = Setup::new();
    let (before, after) = (setup.text("before"), setup.text("after"));
    let usual = ["--epochs", "1", "--head", "cosine", "--out", &before];
    setup.trained(&[&SMALL[..], &usual].concat());
    let usual = "--freeze=all --epochs 2 --balance oversample --head-steps auto";
    setup.trained(&arguments(usual, &["--load", &before, "--out", &after]));
    let taken = lines(&setup.path("after").join("steps.jsonl")).len();
    assert_eq!(taken, 125 + 250 + 500 + 1000 + 2000);
}

#[test]
fn decoupled_experiments_change_the_head_of_a_body_that_stays() {
    let setup = Setup::new();
    for (name, second) in [("crt", "head"), ("lws", "head"), ("tau-norm", "normalised")] {
        let first = if name == "tau-norm" { "natural" } else { "body" };
        let out = setup.text(name);
        let more = [
            "--experiment",
            name,
            "--epochs",
            "1",
            "--head",
            "plain",
            "--out",
            &out,
        ];
        setup.trained(&[&SMALL[..], &more].concat());
        let [before, after] = [first, second].map(|stage| tensors(&setup.path(name).join(stage)));
        for (tensor, values) in before.iter().filter(|(name, _)| !name.contains("_moment.")) {
            let is_of_head = tensor.starts_with("fc.");
            // The best tau may be 0.
            if !(is_of_head && name == "tau-norm") {
                assert_eq!(after[tensor] == *values, !is_of_head, "{name}: {tensor}");
            }
        }
        let [before, after] = [&before, &after].map(|state| rows(&state["fc.weight"]));
        let bias = &tensors(&setup.path(name).join(second))["fc.bias"].data;
        // Scales and norms keep the directions of the classes' weights.
        for (before, after) in before.iter().zip(&after).filter(|_| name != "crt") {
            let product: f64 = before
                .iter()
                .zip(*after)
                .map(|(one, other)| f64::from(one * other))
                .sum();
            let cosine = product / norm(before) / norm(after);
            assert!(cosine.abs() > 0.999, "{name}: {cosine}");
        }
        assert_eq!(
            bias.iter().all(|bias| *bias == 0.0),
            name == "tau-norm",
            "{bias:?}"
        );
    }
}

#[test]
fn estimated_statistics_are_exported_and_change_no_parameter() {
    let setup = Setup::new();
    let trained = |name: &str, more: &[&str]| {
        let out = setup.text(name);
        let usual = ["--epochs", "1", "--head", "plain", "--out", &out];
        setup.trained(&[&SMALL[..], &usual, more].concat());
        tensors(&setup.path(name))
    };
    let plain = trained("plain", &[]);
    let again = trained("again", &["--reestimate-norms"]);
    for (name, tensor) in &plain {
        assert_eq!(again[name] == *tensor, !name.contains("running_"), "{name}");
    }
    let models =
        ["plain", "again"].map(|name| fs::read(setup.path(name).join("model.onnx")).expect("a model"));
    assert!(models[0] != models[1]);
}

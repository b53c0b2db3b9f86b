//! Losses, gradient clipping and accumulation, weight averaging and mixed labels, from the command line to the files of a run.

use std::{fs, path::Path};

use equibatch_harness::process::{ServerProcess, arguments, client, text};
use serde_json::Value;

use super::setup::{assert_same_run, kill_after, pictures, resume, train};

/// All options at once, with 2 micro-batches of 8 images.
const ALL: &str = "--balance natural --label-smoothing 0.1 --class-weights effective:0.9 --focal 1.5 --clip-norm 1 --accumulate 2 \
                   --ema 0.5 --epochs 6 --recipe";

fn all_options<'a>(server: &'a str, run: &'a Path) -> Vec<&'a str> {
    train(server, &arguments(ALL, &["fastai mixup", "--out", text(run)]))
}

fn lines(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_run_with_every_option_ends_with_the_same_bits_when_it_is_killed_and_resumed() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let [unbroken, killed] = ["unbroken", "killed"].map(|name| folder.path().join(name));
    let output = client(&all_options(&server.address, &unbroken));
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("1 step of 16 images per epoch"), "{said}");
    assert!(said.contains("waited for batches"), "{said}");

    kill_after("2 ", &all_options(&server.address, &killed));
    let resume = resume(&server.address, &killed);
    let output = client(&resume);
    assert!(output.status.success(), "{output:?}");
    assert_same_run(&unbroken, &killed);

    let config: Value = serde_json::from_slice(&fs::read(unbroken.join("config.json")).unwrap()).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    let weights: Vec<f64> = config["loss"]["weights"]
        .as_array()
        .unwrap()
        .iter()
        .map(number)
        .collect();
    // 8 and 16 images: (1 - 0.9) / (1 - 0.9^n), scaled to a mean of 1.
    let effective = [8, 16].map(|images| 0.1 / (1.0 - 0.9_f64.powi(images)));
    let mean = (effective[0] + effective[1]) / 2.0;
    for (found, expected) in weights.iter().zip(effective) {
        assert!((found - expected / mean).abs() < 1e-6, "{weights:?}");
    }
    let lines = lines(&unbroken);
    assert_eq!(lines.len(), 6);
    for line in &lines {
        assert!(
            number(&line["gradient_norm"]) > 0.0 && (0.0..=1.0).contains(&number(&line["wait_share"])),
            "{line}"
        );
        assert!(
            line["valid"]["macro_f1"].is_number() && line["valid"]["auroc"].is_number(),
            "{line}"
        );
    }
    let names = fs::read_dir(&killed).unwrap();
    let events = names.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .contains("tfevents")
    });
    assert_eq!(events.count(), 2, "one of the killed run, one of the resumed one");

    for change in [
        ["--focal", "2"],
        ["--ema", "0.9"],
        ["--accumulate", "1"],
        ["--class-weights", "inverse"],
    ] {
        assert_resume_is_refused(&resume, &change);
    }
}

/// Options that change a run's results cannot be changed on resume.
fn assert_resume_is_refused(resume: &[&str], change: &[&str]) {
    let output = client(&[resume, change].concat());
    assert_eq!(output.status.code(), Some(65), "{change:?}: {output:?}");
}

/// LDAM with deferred class weights, by SGD.
const MARGINS: &str = "--balance natural --head cosine --ldam --class-weights power:0.5 --class-weights-from 3 --label-smoothing 0.2..0.1 \
                       --optimizer sgd --momentum 0.8 --nesterov --weight-decay 1e-3 --norm-weight-decay 0 --bias-weight-decay 0 \
                       --schedule step:2 --warmup-epochs 1 --epochs 4 --recipe fastai --out";

#[test]
fn a_run_with_margins_and_sgd_is_resumed_with_the_same_bits_and_exported() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let [unbroken, killed] = ["unbroken", "killed"].map(|name| folder.path().join(name));
    let run = |run: &Path| client(&train(&server.address, &arguments(MARGINS, &[text(run)])));
    let output = run(&unbroken);
    assert!(output.status.success(), "{output:?}");
    kill_after(
        "1 ",
        &train(&server.address, &arguments(MARGINS, &[text(&killed)])),
    );
    let resume = resume(&server.address, &killed);
    let output = client(&resume);
    assert!(output.status.success(), "{output:?}");
    assert_same_run(&unbroken, &killed);

    let config: Value = serde_json::from_slice(&fs::read(unbroken.join("config.json")).unwrap()).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    // 8 and 16 images: 30 / 2 for the rarest class, and 2^(-1/4) of it; ε is 0.1 and 0.2.
    for (name, expected) in [
        ("margins", [15.0, 15.0 * 0.5_f64.powf(0.25)]),
        ("class_smoothing", [0.1, 0.2]),
        (
            "weights",
            [2.0 - 2.0 / (1.0 + 2.0_f64.sqrt()), 2.0 / (1.0 + 2.0_f64.sqrt())],
        ),
    ] {
        for (found, expected) in config["loss"][name].as_array().unwrap().iter().zip(expected) {
            assert!((number(found) - expected).abs() < 1e-6, "{name}: {config}");
        }
    }
    assert_eq!(config["optimizer"]["name"], "sgd");
    for change in [
        ["--ldam=0.2", "--epochs=4"],
        ["--betas", "0.9,0.99"],
        ["--schedule", "cosine"],
        ["--class-weights-from", "2"],
    ] {
        assert_resume_is_refused(&resume, &change);
    }
    let exported = folder.path().join("exported.onnx");
    let output = client(&arguments(
        "export --fold --prior uniform",
        &[text(&unbroken), "--out", text(&exported)],
    ));
    assert!(output.status.success(), "{output:?}");

    for (refused, words) in [
        ("--ldam --epochs 1", "--ldam needs --head cosine"),
        ("--ldam --head cosine --recipe mixup", "without mixup and cutmix"),
        (
            "--optimizer sgd --betas 0.9,0.99",
            "--betas needs --optimizer adamw",
        ),
        ("--warmup-epochs 1 --epochs 4", "--schedule cosine"),
        ("--class-weights-from 2", "needs --class-weights"),
    ] {
        let run = folder.path().join("refused");
        let output = client(&train(
            &server.address,
            &arguments(refused, &["--out", text(&run)]),
        ));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{refused}: {errors}");
        assert!(errors.contains(words), "{refused}: {errors}");
        assert!(!run.exists(), "no run folder is created");
    }
}

#[test]
fn class_weights_with_a_balanced_stream_give_a_warning() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let warned = |name: &str, more: &[&str]| {
        let run = folder.path().join(name);
        let more = [&["--epochs", "1", "--no-tensorboard", "--out", text(&run)], more].concat();
        let output = client(&train(&server.address, &more));
        assert!(output.status.success(), "{output:?}");
        let names = fs::read_dir(&run).unwrap();
        let is_events = |name: &str| name.contains("tfevents");
        assert!(
            !names
                .map(|entry| entry.unwrap().file_name())
                .any(|name| is_events(name.to_str().unwrap()))
        );
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("rare classes count twice")
    };
    assert!(warned("both", &["--class-weights", "inverse"]));
    assert!(!warned(
        "weights",
        &["--class-weights", "inverse", "--balance", "natural"]
    ));
    assert!(!warned("balance", &["--metrics", "recall:birds,loss"]));
    let run = folder.path().join("dogs");
    let more = ["--metrics", "recall:dogs", "--out", text(&run)];
    let refused = client(&train(&server.address, &more));
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    assert!(!run.exists(), "no run folder is created");
}

//! Balance policies that change over the epochs of a run.

use std::fs;

use equibatch_harness::process::client;
use serde_json::{Value as Json, json};

use super::setup::{SMALL, Setup};

#[test]
fn a_schedule_is_over_the_epochs_of_its_stage_and_is_reported() {
    let setup = Setup::new();
    let [one, two] = ["one", "two"].map(|name| setup.text(name));
    let train = |more: &[&str]| setup.train(&[&SMALL[..], more].concat());
    let (code, _, errors) = train(&[
        "--epochs",
        "1",
        "--balance",
        "natural",
        "--out",
        &one,
        "--save",
        &one,
    ]);
    assert_eq!(code, Some(0), "{errors}");
    let load = setup.text("one.safetensors");
    let scheduled = |epochs: &str| {
        let options = [
            "--load",
            &load,
            "--unfreeze",
            "--balance",
            "progressive",
            "--out",
            &two,
        ];
        train(&[&options[..], &["--epochs", epochs]].concat())
    };
    let (code, _, errors) = scheduled("1");
    assert_ne!(code, Some(0));
    assert!(
        errors.contains("at least 2") && errors.contains("--epochs"),
        "{errors}"
    );
    let (code, _, errors) = scheduled("3");
    assert_eq!(code, Some(0), "{errors}");

    let read = |file: &str| fs::read_to_string(setup.path("two").join(file)).expect("written");
    let parsed = |file: &str| -> Json { serde_json::from_str(&read(file)).expect("JSON") };
    let stream = parsed("stream.json");
    assert_eq!(stream["draws"], json!([8, 16]));
    // Counted in this run: its first epoch is the second of the stream.
    let change = json!({ "draws_per_class": [12, 12], "first_epoch": 0, "last_epoch": 2 });
    assert_eq!(stream["change"], change);
    assert_eq!(
        parsed("config.json")["class_shares"]["trained"],
        json!([0.5, 0.5])
    );
    let report = read("report.html");
    for words in [
        "Draws of each class by epoch.",
        "draws in epoch 2",
        "<td>8</td><td>8</td><td>10</td><td>12</td>",
    ] {
        assert!(report.contains(words), "{words}");
    }
}

#[test]
fn pictures_of_a_scheduled_batch_need_the_number_of_epochs() {
    let setup = Setup::new();
    let out = setup.text("batch.png");
    let show = |more: &[&str]| {
        let usual = [
            "--balance",
            "natural>oversample@0.5",
            "--size",
            "32",
            "--batch-size",
            "8",
            "--out",
            &out,
        ];
        let server = ["show-batch", "--server", &setup.server.address];
        let output = client(&[&server[..], &usual, more].concat());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, errors) = show(&["--epoch", "3"]);
    assert_eq!(code, Some(64), "{errors}");
    assert!(errors.contains("--epochs N"), "{errors}");
    let (code, errors) = show(&["--epoch", "3", "--epochs", "4"]);
    assert_eq!(code, Some(0), "{errors}");
}

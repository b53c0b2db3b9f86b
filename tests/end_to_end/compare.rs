//! `client compare`: several configurations, evaluated on the same images.

use std::{fs, path::Path, time::SystemTime};

use equibatch_harness::{
    images::ImageFolder,
    process::{ServerProcess, arguments, client, text},
};
use serde_json::Value;

fn compare(server: &str, out: &Path, more: &[&str]) -> std::process::Output {
    let usual =
        "compare --arch resnet18@4 --size 32 --batch-size 8 --threads 1 --recipe flip --seed 5 --server";
    let mut usual = arguments(usual, &[server, "--out", text(out)]);
    if !more.contains(&"--epochs") {
        usual.extend(["--epochs", "1"]);
    }
    client(&[&usual[..], more].concat())
}

pub(super) fn images_with_test() -> ImageFolder {
    let classes = [
        ("birds", 10),
        ("flowers", 20),
        ("test/birds", 3),
        ("test/flowers", 2),
    ];
    ImageFolder::new(&classes)
}

fn counts(value: &Value) -> u64 {
    value
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum()
}

#[test]
fn a_comparison_repeats_evaluates_and_resumes() {
    let images = images_with_test();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("comparison");

    let output = compare(&server.address, &out, &[]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("recall of birds (2)") && said.contains("McNemar"),
        "{said}"
    );
    let changed = |run: &str| -> SystemTime {
        let file = out.join(run).join("checkpoint.safetensors");
        fs::metadata(file).unwrap().modified().unwrap()
    };
    let before = ["natural-5", "oversample-5"].map(changed);
    // A line for the steps and one for each run, and none for their epochs.
    let progress = String::from_utf8(output.stderr).unwrap();
    assert_eq!(progress.lines().count(), 3, "{progress}");
    assert!(progress.contains("each arm trains for 4 steps"), "{progress}");
    assert!(
        progress.contains("oversample, seed 5: balanced accuracy"),
        "{progress}"
    );

    // A second repeat trains two more models, and none again.
    let output = compare(&server.address, &out, &["--repeats", "2", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(["natural-5", "oversample-5"].map(changed), before);
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(comparison["rarest"], "birds");
    assert_eq!(
        (&comparison["images"], &comparison["rarest_images"]),
        (&6.into(), &2.into())
    );
    for (arm, name) in comparison["arms"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["natural", "oversample"])
    {
        assert_eq!(
            (&arm["name"], &arm["seeds"]),
            (&name.into(), &serde_json::json!([5, 6]))
        );
        assert_eq!(counts(&arm["all_repeats"]["confusion_matrix"]), 12);
        assert_eq!(arm["error_rate"]["values"].as_array().unwrap().len(), 2);
        let mean = arm["error_rate"]["mean"].as_f64().unwrap();
        let whole = arm["all_repeats"]["error_rate"].as_f64().unwrap();
        assert!((mean - whole).abs() < 1e-12, "as many images in each repeat");
        let config = fs::read_to_string(out.join(format!("{name}-6/config.json"))).unwrap();
        assert!(config.contains(&format!("\"balance\": \"{name}\"")), "{config}");
        // As many steps as with balancing, for both arms.
        assert!(config.contains("\"steps_per_epoch\": 4"), "{config}");
    }
    assert_eq!(comparison["tests"][0]["repeats"].as_array().unwrap().len(), 2);
    for file in [
        "compare.html",
        "compare.json",
        "recall.svg",
        "confusion-natural.png",
        "confusion-oversample.svg",
    ] {
        assert!(out.join(file).exists(), "{file}");
    }

    // `evaluate` gives the same confusion matrix for a run.
    let run = out.join("oversample-6");
    let evaluate = |run: &Path, more: &[&str]| -> Value {
        let usual = arguments(
            "evaluate --json --threads 1 --server",
            &[&server.address, text(run)],
        );
        serde_json::from_slice(&client(&[&usual[..], more].concat()).stdout).unwrap()
    };
    let evaluated = evaluate(&run, &[]);
    assert_eq!(
        evaluated["models"]["oversample-6"]["confusion_matrix"],
        comparison["arms"][1]["figures"][1]["confusion_matrix"]
    );

    // The same on the test split.
    let fresh = &comparison["fresh"];
    let labels = |of: &Value| -> Vec<u64> {
        let all = of.as_array().unwrap().iter();
        all.map(|one| one["label"].as_u64().unwrap()).collect()
    };
    assert_eq!(labels(&fresh["images"]), [0, 0, 0, 1, 1]);
    assert_eq!(fresh["images"][4]["path"], "test/flowers/0002.jpg");
    let guesses = labels(&fresh["arms"][1]["guesses"]);
    let wrong = guesses
        .iter()
        .zip([0, 0, 0, 1, 1])
        .filter(|&(&guess, label)| guess != label);
    let wrong = wrong.count();
    let first = out.join("oversample-5");
    let evaluated = evaluate(&first, &["--split", "test"]);
    let rate = evaluated["models"]["oversample-5"]["error_rate"]
        .as_f64()
        .unwrap();
    assert!((rate - wrong as f64 / 5.0).abs() < 1e-12, "{rate}, {wrong} of 5");
    let page = fs::read_to_string(out.join("compare.html")).unwrap();
    assert!(
        page.contains(&format!("oversample: {wrong} of 5 wrong")),
        "{page}"
    );

    // A changed setting is refused.
    let output = compare(&server.address, &out, &["--weight-decay", "0.5"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{errors}");
    assert!(errors.contains("weight_decay was 0.01"), "{errors}");
}

#[test]
fn arms_are_flags_of_train_and_take_equally_many_steps() {
    let images = ImageFolder::new(&[("birds", 10), ("flowers", 20)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let stages = folder.path().join("stages.toml");
    fs::write(
        &stages,
        "[[stage]]\nbalance = \"natural\"\nepochs = 1\n[[stage]]\nname = \"last\"\nepochs = 1\n",
    )
    .unwrap();
    let out = folder.path().join("comparison");
    let arms = format!(
        "natural,natural+prior,natural+tta,natural+prior+tta,{}",
        text(&stages)
    );
    let own = "soft=--balance natural --label-smoothing 0.2 --epochs 2 --batch-size 4";
    let arguments = [
        "--epochs",
        "2",
        "--arms",
        &arms,
        "--arm",
        own,
        "--json",
        "--verbose",
    ];
    let output = compare(&server.address, &out, &arguments);
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(
        shown.contains("valid loss") && shown.contains("stage 2 of 2: last"),
        "{shown}"
    );

    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    let arms = comparison["arms"].as_array().unwrap();
    let names: Vec<&str> = arms.iter().map(|arm| arm["name"].as_str().unwrap()).collect();
    let evaluated = [
        ("natural+prior", "--prior uniform"),
        ("natural+tta", "--tta"),
        ("natural+prior+tta", "--prior uniform --tta"),
    ];
    let [prior, tta, both] = evaluated.map(|(name, _)| name);
    assert_eq!(names, ["natural", prior, tta, both, text(&stages), "soft"]);
    assert_eq!(
        comparison["too_few"],
        serde_json::json!([["birds", 2], ["flowers", 4]])
    );
    // An epoch of the longest arm, the experiment's oversampled stage, has 4 steps of 8 images.
    let runs = ["natural-5", "soft-5"].map(|run| out.join(run));
    let stages = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
    let stages: Vec<_> = stages.filter(|path| path.join("last").is_dir()).collect();
    assert_eq!(stages.len(), 1, "{stages:?}");
    for run in runs
        .iter()
        .cloned()
        .chain(["stage-1", "last"].map(|stage| stages[0].join(stage)))
    {
        let config: Value = serde_json::from_slice(&fs::read(run.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["steps_per_epoch"], 4, "{}", run.display());
    }

    // The same model, not trained again, and evaluated as by `client evaluate`.
    for (arm, (name, flags)) in arms[1..].iter().zip(evaluated) {
        assert_eq!(arm["flags"], format!("--balance natural; evaluated with {flags}"));
        assert!(!out.join(format!("{name}-5")).exists());
        let evaluate = format!("evaluate --json --threads 1 {flags} --server");
        let evaluate = client(&self::arguments(&evaluate, &[&server.address, text(&runs[0])]));
        let alone: Value = serde_json::from_slice(&evaluate.stdout).unwrap();
        let alone = &alone["models"]["natural-5"];
        let all_repeats = &arm["all_repeats"];
        assert_eq!(
            alone["confusion_matrix"], all_repeats["confusion_matrix"],
            "{name}"
        );
        let difference = alone["loss"].as_f64().unwrap() - all_repeats["loss"].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{name}: {difference}");
    }

    // The arm's flags have changed.
    let own = "soft=--balance natural --label-smoothing 0.3 --epochs 2 --batch-size 4";
    let output = compare(&server.address, &out, &["--epochs", "2", "--arm", own]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{errors}");
    assert!(
        errors.contains("loss.label_smoothing was 0.2, now 0.3"),
        "{errors}"
    );
}

#[test]
fn cross_validation_evaluates_every_image_once() {
    let images = ImageFolder::new(&[("birds", 10), ("flowers", 20)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--folds", "--arms", "natural,natural+prior", "--json"];
    let output = compare(&server.address, folder.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&comparison["images"], &comparison["folds"]),
        (&30.into(), &5.into())
    );
    assert_eq!(comparison["rarest_images"], 10);
    assert_eq!(comparison["arms"][0]["seeds"], serde_json::json!([5]));
    let config: Value =
        serde_json::from_slice(&fs::read(folder.path().join("natural-5-fold-3/config.json")).unwrap())
            .unwrap();
    let dataset = config["dataset"].as_str().unwrap();
    assert!(dataset.ends_with("@3/5"), "{dataset}");
    assert_eq!(config["class_shares"]["images"], serde_json::json!([8, 16]));
}

#[test]
fn options_that_a_comparison_sets_itself_are_refused() {
    for (arguments, message) in [
        (&["--balance", "natural"][..], "--arms"),
        (&["--arms", "natural"], "at least two"),
        (&["--arms", "natural,natural"], "at least two"),
        (&["--arms", "fair,natural"], "invalid arm `fair`"),
        (
            &["--arm", "x=--dataset y"],
            "--dataset cannot be a flag of an arm",
        ),
        (&["--folds", "--split", "test"], "--folds and --split test"),
        (&["--save", "x"], "--save cannot be used with compare"),
        (&["--repeats", "0"], "a whole number from 1 to 1000"),
    ] {
        let output = client(&[&["compare", "--server", "127.0.0.1:1"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(message), "{errors}");
    }
}

//! `client compare`: several configurations, evaluated on the same images.

use std::{fs, path::Path, time::SystemTime};

use equibatch_harness::{
    images::ImageFolder,
    process::{ServerProcess, arguments, client, text},
};
use serde_json::Value;

fn compare(server: &str, out: &Path, more: &[&str]) -> std::process::Output {
    let usual = "compare --arch resnet18@4 --size 32 --batch-size 8 --epochs 1 --threads 1 --recipe flip --seed 5 --server";
    let usual = arguments(usual, &[server, "--out", text(out)]);
    client(&[&usual[..], more].concat())
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
    let classes = [
        ("birds", 10),
        ("flowers", 20),
        ("test/birds", 3),
        ("test/flowers", 2),
    ];
    let images = ImageFolder::new(&classes);
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
fn options_that_a_comparison_sets_itself_are_refused() {
    for (arguments, message) in [
        (&["--balance", "natural"][..], "--arms"),
        (&["--arms", "natural"], "at least two"),
        (&["--arms", "natural,natural"], "at least two"),
        (&["--arms", "fair,natural"], "invalid arm `fair`"),
        (&["--save", "x"], "--save cannot be used with compare"),
        (&["--repeats", "0"], "a whole number from 1 to 1000"),
    ] {
        let output = client(&[&["compare", "--server", "127.0.0.1:1"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(message), "{errors}");
    }
}

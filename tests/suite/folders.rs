//! The commands that look at folders, as processes: what they print, and how they end.

use std::{fs, path::Path, process::Output};

use equibatch_tests::{images::ImageFolder, process::server};
use serde_json::Value;

fn run(command: &str, root: &Path, options: &[&str]) -> (Option<i32>, String, String) {
    let root = root.to_str().unwrap();
    let arguments: Vec<&str> = [command, root]
        .into_iter()
        .chain(options.iter().copied())
        .collect();
    let Output {
        status,
        stdout,
        stderr,
    } = server(&arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn stats_says_what_a_client_would_get() {
    let images = ImageFolder::new(&[("birds", 5), ("flowers", 20)]);
    let (code, text, errors) = run("stats", images.root(), &["--image-size", "32"]);
    assert_eq!(
        (code, errors.as_str()),
        (Some(0), ""),
        "no bar where there is no terminal"
    );
    assert!(text.contains("birds        4      1     0\n"), "{text}");
    assert!(
        !text.contains('\u{1B}'),
        "no colours where there is no terminal: {text:?}"
    );

    let (_, json, _) = run("stats", images.root(), &["--json", "--balance", "oversample"]);
    let stats: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(stats["imbalance_ratio"], 4.0);
    assert_eq!(stats["policies"][0]["classes"][0]["draws"], 16);
    assert_eq!(stats["policies"][0]["classes"][0]["least"], 4);
    assert_eq!(stats["pixels"]["images"], 20);
    let mean = stats["pixels"]["natural"]["mean"][0].as_f64().unwrap();
    assert!((0.3..0.7).contains(&mean), "{mean}");
}

#[test]
fn verify_ends_with_a_code_that_says_whether_something_is_wrong() {
    let images = ImageFolder::new(&[("birds", 3), ("flowers", 6)]);
    let exact = &["--exact"];
    let (code, text, _) = run("verify", images.root(), exact);
    assert_eq!(code, Some(0), "{text}");

    fs::copy(images.file("birds", 0), images.root().join("flowers/copy.jpg")).unwrap();
    images.corrupt("flowers", 2).unwrap();
    let (code, text, errors) = run("verify", images.root(), exact);
    assert_eq!(code, Some(65), "{text}");
    assert!(errors.contains("2 findings remain"), "{errors}");
    assert!(text.contains("broken      flowers/0003.png: "), "{text}");
    assert!(text.contains("CONFLICT of classes"), "{text}");

    let (code, json, _) = run("verify", images.root(), &["--exact", "--delete", "--json"]);
    let verdict: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &verdict["remaining"]), (Some(65), &Value::from(1)));
    assert_eq!(verdict["deeds"][0]["deed"], "deleted");
    assert_eq!(verdict["groups"][0]["conflict"], true);
    assert!(!images.file("flowers", 2).exists());

    fs::remove_file(images.root().join("flowers/copy.jpg")).unwrap();
    assert_eq!(run("verify", images.root(), exact).0, Some(0));
}

#[test]
fn a_verified_copy_can_be_served() {
    let images = ImageFolder::new(&[("birds", 3), ("flowers", 6)]);
    images.corrupt("flowers", 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("clean");
    let options = ["--exact", "--max-size", "40", "--out", out.to_str().unwrap()];
    let (code, text, errors) = run("verify", images.root(), &options);
    assert_eq!(code, Some(0), "{text}{errors}");
    let (code, text, _) = run("stats", &out, &["--image-size", "32"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("(median 40)"), "{text}");
    assert!(!text.contains("not served"), "{text}");
}

#[test]
fn senseless_options_are_named() {
    let images = ImageFolder::new(&[("birds", 1), ("flowers", 1)]);
    let inside = images.root().join("bad");
    let inside = inside.to_str().unwrap();
    for (command, options, word) in [
        ("stats", &["--balance", "much"][..], "--balance"),
        ("stats", &["--balance", "power:2"], "--balance"),
        ("stats", &["--batch-size", "0"], "--batch-size"),
        ("stats", &["--image-size", "5000"], "--image-size"),
        ("stats", &["--threads", "0"], "--threads"),
        ("verify", &["--max-size", "500"], "--max-size"),
        ("verify", &["--delete", "--kinds", "ugly"], "--kinds"),
        ("verify", &["--kinds", "tiny"], "--kinds"),
        ("verify", &["--similar", "12"], "--similar"),
        ("verify", &["--quality", "0"], "--quality"),
        ("verify", &["--quarantine", inside], "--quarantine"),
        ("verify", &["--delete", "--out", "x"], "--out"),
    ] {
        let (code, _, errors) = run(command, images.root(), options);
        assert_eq!(code, Some(64), "{command} {options:?}: {errors}");
        assert!(errors.contains(word), "{command} {options:?}: {errors}");
    }
    let missing = images.root().join("missing");
    for command in ["stats", "verify"] {
        assert_eq!(run(command, &missing, &[]).0, Some(66));
        assert_eq!(run(command, &images.root().join("birds"), &[]).0, Some(66));
    }
}

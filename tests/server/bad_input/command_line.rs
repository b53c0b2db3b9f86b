//! Command lines.

use std::{fs, net::TcpListener};

use equibatch_harness::process;

use super::pictures;

#[test]
fn a_bad_command_line_ends_with_one_sentence_and_a_code() {
    let images = pictures();
    let good = images.root().to_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    let (missing, empty, one, file) = (path("missing"), path("empty"), path("one"), path("file"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir_all(format!("{one}/birds")).unwrap();
    fs::copy(images.file("birds", 0), format!("{one}/birds/0.jpg")).unwrap();
    fs::write(&file, b"").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let full = path("");
    for (arguments, code, words) in [
        (&["serve", "--data", &missing][..], 66, "no such folder"),
        (&["serve", "--data", &empty], 66, "no usable image"),
        (&["serve", "--data", &one], 66, "one class only"),
        (&["serve", "--data", &file], 66, "not a folder"),
        (&["serve", "--data", good, "--listen", &taken], 74, &taken),
        (
            &["serve", "--data", good, "--listen", "no.such.host.invalid:1"],
            74,
            "no.such.host.invalid",
        ),
        (&["serve", "--data", good, "--listen", "here"], 64, "--listen"),
        (
            &["serve", "--data", good, "--cache-bytes", "much"],
            64,
            "--cache-bytes",
        ),
        (&["serve", "--data", good, "--log", "a=b=c"], 64, "--log"),
        (
            &["serve", "--data", good, "--log", "loud"],
            64,
            "error, warn, info, debug",
        ),
        (
            &["serve", "--data", good, "--threads", "0"],
            64,
            "a whole number from 1 to 1024",
        ),
        (
            &["serve", "--data", good, "--threads", "-1"],
            64,
            "a whole number from 1 to 1024",
        ),
        (
            &["serve", "--data", good, "--max-epochs", "0"],
            64,
            "a whole number of at least 1",
        ),
        (&["preview", good, "--out", "x.gif"], 64, "ends in .png"),
        (
            &["preview", good, "--step", "999", "--batch-size", "5"],
            64,
            "from 0 to 5",
        ),
        (&["recipe", "rotat(10)"], 64, "did you mean rotate?"),
        (&["serve", "--data", good, "--otlp", "no address"], 64, "--otlp"),
        (&["serve", "--data", good, "--data", good], 64, "--data"),
        (&["serve"], 64, "--data"),
        (&["sample-data", &full], 64, "not empty"),
        (
            &["sample-data", &missing, "--classes", "a,b", "--counts", "1"],
            64,
            "--counts",
        ),
    ] {
        let listens = arguments.contains(&"--listen") || arguments[0] != "serve";
        let chosen: &[&str] = if listens {
            &[]
        } else {
            &["--listen", "127.0.0.1:0"]
        };
        let output = process::server(&[arguments, chosen].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(
            said.contains(words),
            "{arguments:?}: {words:?} is not in {said:?}"
        );
        if code != 64 {
            assert_eq!(said.trim().lines().count(), 1, "{arguments:?}: {said}");
        }
    }
}

#[test]
fn a_picture_that_cannot_be_drawn_is_refused_with_what_can() {
    let images = pictures();
    let server = process::ServerProcess::start(images.root(), &[]);
    let server = [
        "show-batch",
        "--server",
        &server.address,
        "--size",
        "32",
        "--batch-size",
        "8",
    ];
    for (arguments, words) in [
        (&["--out", "x.gif"][..], "ends in .png"),
        (&["--step", "999"], "--step 999: expected a number from 0 to 3"),
        (
            &["--split", "valid", "--balance", "natural"],
            "--balance is for the train split",
        ),
    ] {
        let output = process::client(&[&server[..], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn half_precision_is_refused_on_a_cpu_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("experiment.toml");
    fs::write(&experiment, "precision = \"bf16\"\n[[stage]]\nepochs = 1\n").unwrap();
    let experiment = experiment.to_str().unwrap();
    let out = folder.path().join("run");
    let out = out.to_str().unwrap();
    // Nobody listens there.
    let server = ["--server", "127.0.0.1:1", "--out", out];
    for (arguments, precision) in [
        (&["train", "--precision", "f16"][..], "f16"),
        (&["train", "--precision", "tf32", "--device", "cpu"], "tf32"),
        (&["train", "--experiment", experiment], "bf16"),
        (&["find-lr", "--precision", "bf16"], "bf16"),
        (&["compare", "--precision", "f16"], "f16"),
        (&["bench", "--precision", "f16"], "f16"),
    ] {
        let more: &[&str] = if arguments[0] == "bench" { &[] } else { &server };
        let output = process::client(&[arguments, more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        let expected = format!("--precision {precision} needs --device cuda");
        assert!(said.contains(&expected), "{arguments:?}: {said}");
    }
    let output = process::client(&["train", "--precision", "fp16"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(!fs::exists(out).unwrap(), "nothing was begun");
}

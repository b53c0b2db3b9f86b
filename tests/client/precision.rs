//! `--precision` with devices that do not support it.

use std::fs;

use equibatch_harness::process::client;

#[test]
fn half_precision_is_refused_on_a_cpu_before_connecting() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("experiment.toml");
    fs::write(&experiment, "precision = \"bf16\"\n[[stage]]\nepochs = 1\n").unwrap();
    let experiment = experiment.to_str().unwrap();
    let out = folder.path().join("run");
    let out = out.to_str().unwrap();
    // There is no server.
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
        let output = client(&[arguments, more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        let expected = format!("--precision {precision} needs --device cuda");
        assert!(said.contains(&expected), "{arguments:?}: {said}");
    }
    let output = client(&["train", "--precision", "fp16"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(!fs::exists(out).unwrap(), "no run folder is created");
}

//! Command lines.

use std::{fs, net::TcpListener};

use equibatch_harness::process;

use super::pictures;

#[test]
fn invalid_command_lines_exit_with_one_line_and_a_code() {
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

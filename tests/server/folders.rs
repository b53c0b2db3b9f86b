//! The commands for folders: `stats`, `verify` and `serve`, their output and exit codes.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Output},
};

use equibatch_harness::{
    images::{ImageFolder, pictures},
    process::{ServerProcess, program, server},
};
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
fn stats_shows_what_a_client_would_receive() {
    let images = pictures();
    let (code, text, errors) = run("stats", images.root(), &["--image-size", "32"]);
    assert_eq!(
        (code, errors.as_str()),
        (Some(0), ""),
        "no progress bar without a terminal"
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
fn verify_exits_with_a_code_if_it_finds_problems() {
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
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &report["remaining"]), (Some(65), &Value::from(1)));
    assert_eq!(report["deeds"][0]["deed"], "deleted");
    assert_eq!(report["groups"][0]["conflict"], true);
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
fn images_of_unsupported_formats_are_counted_and_named() {
    let images = ImageFolder::new(&[("birds", 3), ("flowers", 6)]);
    for name in ["birds/a.heic", "birds/b.heic", "flowers/c.avif"] {
        fs::write(images.root().join(name), b"pixels").unwrap();
    }
    for command in ["stats", "verify"] {
        let (_, text, _) = run(command, images.root(), &[]);
        assert!(
            text.contains("2 HEIC files are not read, the first is \"birds/a.heic\""),
            "{command}: {text}"
        );
        assert!(
            text.contains("1 AVIF file is not read, \"flowers/c.avif\""),
            "{command}: {text}"
        );
    }
    let (mut server, log) = ServerProcess::with_log(images.root(), &["--listen", ":0"]);
    server.terminate();
    server.wait();
    let log = log.text();
    assert!(log.contains("2 HEIC files are not read"), "{log}");
}

#[test]
fn an_unreadable_folder_is_refused() {
    let images = ImageFolder::new(&[("birds", 3), ("cats", 3), ("flowers", 6)]);
    let locked = images.root().join("birds");
    let permit = |mode| fs::set_permissions(&locked, fs::Permissions::from_mode(mode)).unwrap();
    let run_unprivileged = |command: &[&str]| {
        let mut server = Command::new(program("server"));
        // The superuser can read every folder.
        if fs::read_dir(&locked).is_ok() {
            server.uid(65534);
        }
        server.args(command).arg(images.root()).output().unwrap()
    };
    fs::set_permissions(images.root(), fs::Permissions::from_mode(0o755)).unwrap();
    permit(0o000);
    let [served, verified] =
        [&["serve", "--listen", ":0", "--data"][..], &["verify", "--exact"]].map(run_unprivileged);
    permit(0o755);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sentence = text(&served.stderr);
    assert_eq!(served.status.code(), Some(66), "{sentence}");
    assert!(
        sentence.contains("cannot read the folder \"birds\""),
        "{sentence}"
    );
    let report = text(&verified.stdout);
    assert_eq!(verified.status.code(), Some(65), "{report}");
    assert!(report.contains("unreadable  birds: "), "{report}");
}

#[test]
fn a_class_folder_is_distinguished_from_a_dataset() {
    let images = ImageFolder::new(&[("birds", 3), ("flowers", 6)]);
    let (code, _, errors) = run("stats", &images.root().join("birds"), &[]);
    assert_eq!(code, Some(66));
    assert!(errors.contains("name the folder above it"), "{errors}");
}

#[test]
fn invalid_options_are_named() {
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

//! What a person at the client can get wrong, and what can go wrong around it: one clear sentence, an exit code that says whose fault it
//! is, and nothing lost.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use equibatch_client::learn::checkpoint::Checkpoint;
use equibatch_harness::{
    images::ImageFolder,
    process::{ClientProcess, ServerProcess, client, output, program},
};

const SMALL: [&str; 8] = [
    "--arch",
    "resnet18@8",
    "--size",
    "64",
    "--batch-size",
    "8",
    "--threads",
    "1",
];

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 10), ("flowers", 20)])
}

/// The exit code and the one line of complaint.
fn complaint(output: &Output) -> (Option<i32>, String) {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    (output.status.code(), errors.trim_end().to_owned())
}

fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let (found, sentence) = complaint(&client(arguments));
    assert_eq!(found, Some(code), "{sentence}");
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Trains a small network for one epoch and gives the folder of the run.
fn trained(server: &ServerProcess, folder: &Path) -> PathBuf {
    let run = folder.join("run");
    let arguments = [
        "train",
        "--server",
        &server.address,
        "--epochs",
        "1",
        "--out",
        text(&run),
    ];
    let output = client(&[&arguments[..], &SMALL].concat());
    assert!(output.status.success(), "{output:?}");
    run
}

#[test]
fn a_port_without_a_server_is_unavailable() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .to_string();
    for command in ["train", "datasets"] {
        refused(
            &[command, "--server", &closed],
            69,
            &[
                &closed,
                "connection refused",
                "is the server running, and is --server right?",
            ],
        );
    }
}

#[test]
fn an_address_without_a_port_is_wrong_usage() {
    refused(
        &["datasets", "--server", "localhost"],
        64,
        &["localhost", "HOST:PORT"],
    );
    refused(&["datasets", "--server", "unix:"], 64, &["unix:PATH"]);
}

#[test]
fn requests_that_the_server_refuses_are_its_sentences() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let address = server.address.as_str();
    refused(
        &["train", "--server", address, "--dataset", "zoo"],
        65,
        &["zoo", "pictures"],
    );
    refused(
        &["train", "--server", address, "--batch-size", "100000"],
        65,
        &["batch_size", "100000"],
    );
    // Known before the server is asked.
    let output = client(&["train", "--server", address, "--arch", "resnet35"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{errors}");
    assert!(
        errors.contains("--arch") && errors.contains("resnet35") && errors.contains("resnet34"),
        "{errors}"
    );
}

#[test]
fn a_device_that_is_not_there_is_never_replaced_by_another() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let arguments = [
        "train",
        "--server",
        &server.address,
        "--device",
        "cuda:7",
        "--batch-size",
        "8",
        "--out",
        text(&out),
    ];
    refused(&arguments, 69, &["cuda:7"]);
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn a_missing_runtime_library_is_one_sentence_that_says_what_to_run() {
    for (device, hint) in [
        (
            "cpu",
            "`make runtime` in a checkout, or `pip install onnxruntime==1.31.1`",
        ),
        ("cuda", "`pip install onnxruntime-gpu==1.31.1`"),
    ] {
        let mut command = Command::new(program("client"));
        command
            .args([
                "predict",
                "--model",
                "model.onnx",
                "image.jpg",
                "--device",
                device,
            ])
            .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
        let (code, sentence) = complaint(&output(&mut command));
        assert_eq!(code, Some(69), "{sentence}");
        for word in ["/nowhere/libonnxruntime.so", "ORT_DYLIB_PATH", hint] {
            assert!(sentence.contains(word), "{sentence}");
        }
    }
}

#[test]
fn a_server_that_dies_in_the_middle_costs_no_step() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run");
    // Far more batches than fit into the buffers on the way, so that the client has to notice.
    let arguments = [
        "train",
        "--server",
        &server.address,
        "--retry-for",
        "0",
        "--epochs",
        "100000",
        "--out",
        text(&run),
    ];
    let mut process = ClientProcess::start(&[&arguments[..], &SMALL].concat());
    process.wait_for_line("1 ");
    let address = server.address.clone();
    drop(server);
    let (code, errors) = process.finish();
    assert_eq!(code, Some(69), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(
        errors.contains(&address) && errors.contains("--resume"),
        "{errors}"
    );
    let saved = Checkpoint::load(&run.join("checkpoint.safetensors"))
        .expect("a checkpoint")
        .progress
        .steps;
    assert!(saved >= 4, "{saved} steps");

    let other = ServerProcess::start(images.root(), &[]);
    let mut process = ClientProcess::start(&[
        "train",
        "--server",
        &other.address,
        "--threads",
        "1",
        "--resume",
        text(&run),
    ]);
    process.wait_for_line("epoch ");
    process.interrupt();
    let (code, errors) = process.finish();
    assert_eq!(code, Some(130), "{errors}");
    let later = Checkpoint::load(&run.join("checkpoint.safetensors"))
        .expect("a checkpoint")
        .progress
        .steps;
    assert!(later > saved, "{later} after {saved} steps");
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_by_name_and_left_alone() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = trained(&server, folder.path());
    let path = run.join("checkpoint.safetensors");
    let checkpoint = fs::read(&path).expect("a checkpoint");
    let resume = ["train", "--server", &server.address, "--resume", text(&run)];

    refused(
        &[&resume[..], &["--arch", "resnet34"]].concat(),
        65,
        &["arch was \"resnet18@8\", now \"resnet34\""],
    );
    let out = [
        "train",
        "--server",
        &server.address,
        "--batch-size",
        "8",
        "--out",
        text(&run),
    ];
    refused(&out, 64, &["already contains a run", "--resume"]);
    fs::write(&path, &checkpoint[..checkpoint.len() / 2]).expect("written");
    refused(&resume, 65, &["checkpoint.safetensors", "damaged"]);
    fs::remove_file(&path).expect("removed");
    refused(
        &resume,
        65,
        &["cannot read the checkpoint", "checkpoint.safetensors"],
    );
    fs::write(&path, &checkpoint).expect("written");

    fs::remove_file(images.file("flowers", 0)).expect("removed");
    let changed = ServerProcess::start(images.root(), &[]);
    let resume = ["train", "--server", &changed.address, "--resume", text(&run)];
    refused(&resume, 65, &["`pictures` has changed since"]);
    assert!(
        fs::read(&path).expect("a checkpoint") == checkpoint,
        "the checkpoint is unchanged"
    );
}

#[test]
fn files_that_are_no_images_are_named_and_the_others_classified() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = trained(&server, folder.path());
    let model = run.join("model.onnx");
    let (broken, missing) = (run.join("config.json"), run.join("missing.jpg"));
    let good = images.file("birds", 1);
    let output = client(&[
        "predict",
        "--model",
        text(&model),
        text(&broken),
        text(&good),
        text(&missing),
        text(&good),
    ]);
    assert_eq!(output.status.code(), Some(65));
    let (lines, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let of = |path: &Path| -> Vec<String> {
        let of_it = lines.lines().filter(|line| line.starts_with(text(path)));
        of_it.map(str::to_owned).collect()
    };
    assert_eq!(of(&good).len(), 2, "{lines}");
    for path in [&broken, &missing] {
        let told = of(path);
        assert!(told.len() == 1 && told[0].contains("(cannot "), "{lines}");
    }
    assert_eq!(errors, "");

    refused(
        &["predict", "--model", text(&missing), text(&good)],
        65,
        &["missing.jpg"],
    );
    refused(
        &["predict", "--model", text(&broken), text(&good)],
        65,
        &["config.json"],
    );
}

#[test]
fn a_model_of_other_classes_is_not_judged() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = trained(&server, folder.path());
    let others = ImageFolder::new(&[("cats", 10), ("dogs", 10)]);
    let other = ServerProcess::start(others.root(), &[]);
    refused(
        &["evaluate", "--server", &other.address, text(&run)],
        65,
        &["cats, dogs", "birds, flowers"],
    );
}

//! Usage errors and failures at the client: one line, an exit code for the kind of error,
//! and no file lost.

use std::{fs, net::TcpListener, path::Path, process::Command};

use equibatch_harness::{
    images::ImageFolder,
    process::{
        ClientProcess, ServerProcess, arguments, assert_one_line, client, errors, output, program, text,
    },
};

use super::setup::{Setup, checkpoint, pictures, resume, train};

fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = client(arguments);
    assert_one_line(&output, code, words);
    assert!(!errors(&output).contains("panicked"), "{output:?}");
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
fn an_address_without_a_port_is_a_usage_error() {
    refused(
        &["datasets", "--server", "localhost"],
        64,
        &["localhost", "HOST:PORT"],
    );
    refused(&["datasets", "--server", "unix:"], 64, &["unix:PATH"]);
}

#[test]
fn refused_requests_show_the_servers_message() {
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
    // Refused before a request is sent.
    let output = client(&["train", "--server", address, "--arch", "resnet35"]);
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(64), "{errors}");
    assert!(
        errors.contains("--arch") && errors.contains("resnet35") && errors.contains("resnet34"),
        "{errors}"
    );
}

#[test]
fn a_missing_device_is_an_error() {
    let setup = Setup::new();
    let out = setup.path("run");
    let options = ["--device", "cuda:7", "--batch-size", "8", "--out", text(&out)];
    assert_one_line(&setup.output("train", &options), 69, &["cuda:7"]);
    assert!(!out.exists(), "no run folder is created");
}

#[test]
fn a_missing_runtime_library_is_reported_with_the_command_to_run() {
    for (device, hint) in [
        (
            "cpu",
            "`pip install onnxruntime==1.31.1`, or set ORT_DYLIB_PATH to the library",
        ),
        ("cuda", "`pip install onnxruntime-gpu==1.31.1`"),
    ] {
        let mut command = Command::new(program("client"));
        command
            .args(arguments(
                "predict --model model.onnx image.jpg --device",
                &[device],
            ))
            .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
        let words = ["/nowhere/libonnxruntime.so", "ORT_DYLIB_PATH", hint];
        assert_one_line(&output(&mut command), 69, &words);
    }
}

#[test]
fn a_server_that_dies_during_training_costs_no_step() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run");
    // Far more batches than fit into buffers, so that the client notices.
    let options = ["--retry-for", "0", "--epochs", "100000", "--out", text(&run)];
    let mut process = ClientProcess::start(&train(&server.address, &options));
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
    let steps = || checkpoint(&run.join("checkpoint.safetensors")).progress.steps;
    let saved = steps();
    assert!(saved >= 4, "{saved} steps");

    let other = ServerProcess::start(images.root(), &[]);
    let mut process = ClientProcess::start(&resume(&other.address, &run));
    process.wait_for_line("epoch ");
    process.interrupt();
    let (code, errors) = process.finish();
    assert_eq!(code, Some(130), "{errors}");
    let later = steps();
    assert!(later > saved, "{later} after {saved} steps");
}

#[test]
fn an_incompatible_checkpoint_is_refused_by_name_and_unchanged() {
    let setup = Setup::new();
    let (run, images, server) = (setup.run_folder("--epochs 1"), &setup.images, &setup.server);
    let path = run.join("checkpoint.safetensors");
    let saved = fs::read(&path).expect("a checkpoint");
    let resume = ["train", "--server", &server.address, "--resume", text(&run)];

    refused(
        &[&resume[..], &["--arch", "resnet34"]].concat(),
        65,
        &["arch was \"resnet18@8\", now \"resnet34\""],
    );
    let out = arguments(
        "train --batch-size 8 --server",
        &[&server.address, "--out", text(&run)],
    );
    refused(&out, 64, &["already contains a run", "--resume"]);
    fs::write(&path, &saved[..saved.len() / 2]).expect("written");
    refused(&resume, 65, &["checkpoint.safetensors", "damaged"]);
    fs::remove_file(&path).expect("removed");
    refused(
        &resume,
        65,
        &["cannot read the checkpoint", "checkpoint.safetensors"],
    );
    fs::write(&path, &saved).expect("written");

    fs::remove_file(images.file("flowers", 0)).expect("removed");
    let changed = ServerProcess::start(images.root(), &[]);
    let resume = ["train", "--server", &changed.address, "--resume", text(&run)];
    refused(&resume, 65, &["`pictures` has changed since"]);
    assert!(
        fs::read(&path).expect("a checkpoint") == saved,
        "the checkpoint is unchanged"
    );
}

#[test]
fn files_that_are_not_images_are_reported_and_the_others_classified() {
    let setup = Setup::new();
    let run = setup.run_folder("--epochs 1");
    let model = run.join("model.onnx");
    let (broken, missing) = (run.join("config.json"), run.join("missing.jpg"));
    let good = setup.images.file("birds", 1);
    let files = [&model, &broken, &good, &missing, &good].map(|path| text(path));
    let output = client(&arguments("predict --model", &files));
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
fn a_model_with_other_classes_is_not_evaluated() {
    let setup = Setup::new();
    let run = setup.run_folder("--epochs 1");
    let others = ImageFolder::new(&[("cats", 10), ("dogs", 10)]);
    let other = ServerProcess::start(others.root(), &[]);
    refused(
        &["evaluate", "--server", &other.address, text(&run)],
        65,
        &["cats, dogs", "birds, flowers"],
    );
}

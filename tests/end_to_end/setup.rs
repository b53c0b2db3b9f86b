//! A server, its images, and runs of the client on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use equibatch_client::learn::checkpoint::Checkpoint;
use equibatch_harness::{
    images::ImageFolder,
    process::{ClientProcess, ServerProcess, arguments, client, text},
};

/// A small network on small images: a step takes milliseconds.
pub(crate) const SMALL: [&str; 6] = ["--arch", "resnet18@8", "--size", "32", "--batch-size", "8"];

/// A server, its images, and a folder for runs.
pub(crate) struct Setup {
    pub(crate) server: ServerProcess,
    pub(crate) images: ImageFolder,
    folder: tempfile::TempDir,
}

/// 8 and 16 images for training, 4 steps per epoch if balanced; 2 and 4 for validation.
pub(crate) fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 10), ("flowers", 20)])
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::of(pictures())
    }

    pub(crate) fn of(images: ImageFolder) -> Self {
        Self {
            server: ServerProcess::start(images.root(), &["--threads", "1"]),
            images,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A file or folder beside the runs.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// [`Setup::path`] as an argument.
    pub(crate) fn text(&self, name: &str) -> String {
        text(&self.path(name)).to_owned()
    }

    /// Runs a client command on one thread, with the server's address.
    pub(crate) fn output(&self, command: &str, more: &[&str]) -> Output {
        let usual = [command, "--server", &self.server.address, "--threads", "1"];
        client(&[&usual, more].concat())
    }

    /// [`Setup::output`] as exit code, standard output and standard error.
    pub(crate) fn run(&self, command: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let output = self.output(command, more);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// `client train`.
    pub(crate) fn train(&self, more: &[&str]) -> (Option<i32>, String, String) {
        self.run("train", more)
    }

    /// `client train`, which must succeed; its standard output.
    pub(crate) fn trained(&self, more: &[&str]) -> String {
        let (code, out, errors) = self.train(more);
        assert_eq!(code, Some(0), "{out}{errors}");
        out
    }

    /// A run of the small network: the words of `options`, and its folder.
    pub(crate) fn run_folder(&self, options: &str) -> PathBuf {
        let run = self.path("run");
        let options = arguments(options, &["--out", text(&run)]);
        self.trained(&[&SMALL[..], &options].concat());
        run
    }
}

pub(crate) fn checkpoint(path: &Path) -> Checkpoint {
    Checkpoint::load(path).expect("a checkpoint")
}

/// The arguments of a run with a network of a quarter of the width, so that fused operators are used, on one thread.
pub(crate) fn train<'a>(server: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = "train --arch resnet18@16 --size 32 --batch-size 8 --threads 1 --server";
    [&arguments(usual, &[server])[..], more].concat()
}

/// The arguments that resume a run.
pub(crate) fn resume<'a>(server: &'a str, run: &'a Path) -> Vec<&'a str> {
    arguments("train --threads 1 --server", &[server, "--resume", text(run)])
}

/// Kills a training after its first line that begins with `line`.
pub(crate) fn kill_after(line: &str, training: &[&str]) {
    let mut process = ClientProcess::start(training);
    process.wait_for_line(line);
    process.kill();
    let (code, _errors) = process.finish();
    assert_eq!(code, None, "it ended by the signal");
}

/// Checks that two runs have the same checkpoint and the same model.
pub(crate) fn assert_same_run(one: &Path, other: &Path) {
    for file in ["checkpoint.safetensors", "model.onnx"] {
        let [one, other] = [one, other].map(|run| fs::read(run.join(file)).expect("a file"));
        assert!(one == other, "{file} differs");
    }
}

/// The only model in what `client evaluate --json` has printed.
pub(crate) fn evaluated_model(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{output:?}");
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let models = figures["models"].as_object().unwrap();
    models.values().next().unwrap().clone()
}

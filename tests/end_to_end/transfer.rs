//! Training that does not start from nothing: weights, frozen bodies, stages.

use equibatch_client::learn::{checkpoint::Checkpoint, run::Frozen};
use equibatch_training::program::Tensor;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use equibatch_harness::{
    images::ImageFolder,
    process::{ServerProcess, client},
};

use equibatch_client_tests::hub::{HubServer, serialized, weights_file};

/// 8 and 16 images for training: 4 steps an epoch when balanced.
pub(crate) struct Workshop {
    pub(crate) server: ServerProcess,
    _images: ImageFolder,
    folder: tempfile::TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let images = ImageFolder::new(&[("birds", 10), ("flowers", 20)]);
        Self {
            server: ServerProcess::start(images.root(), &["--threads", "1"]),
            _images: images,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// A command of the client on one thread; its exit code, standard output and standard error.
    pub(crate) fn run(&self, command: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let usual = [command, "--server", &self.server.address, "--threads", "1"];
        let output = client(&[&usual, more].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    pub(crate) fn train(&self, more: &[&str]) -> (Option<i32>, String, String) {
        self.run("train", more)
    }

    pub(crate) fn trained(&self, more: &[&str]) -> String {
        let (code, out, errors) = self.train(more);
        assert_eq!(code, Some(0), "{out}{errors}");
        out
    }
}

pub(crate) const SMALL: [&str; 6] = ["--arch", "resnet18@8", "--size", "32", "--batch-size", "8"];

pub(crate) fn checkpoint(path: &Path) -> Checkpoint {
    Checkpoint::load(path).expect("a checkpoint")
}

/// The parameters and statistics of two states that differ, by their kind.
fn changed(before: &BTreeMap<String, Tensor>, after: &BTreeMap<String, Tensor>) -> (usize, usize) {
    let differs = |name: &&String| before.get(*name).is_some_and(|tensor| *tensor != after[*name]);
    let (convolutions, others): (Vec<_>, Vec<_>) = after
        .keys()
        .filter(differs)
        .partition(|name| after[*name].shape.len() == 4);
    (convolutions.len(), others.len())
}

#[test]
fn a_body_from_the_hub_stays_frozen_until_it_is_unfrozen() {
    let shop = Workshop::new();
    let hub = HubServer::start(weights_file(3));
    let (home, endpoint) = (shop.text("hub"), hub.hub.url(""));
    let (first, second) = (shop.text("first"), shop.text("second"));
    let out = shop.trained(
        &[
            &SMALL[..],
            &[
                "--weights",
                "hf:birds/net",
                "--hf-home",
                &home,
                "--hf-endpoint",
                &endpoint,
            ],
            &["--epochs", "2", "--out", &first, "--save", &shop.text("stage-1")],
        ]
        .concat(),
    );
    assert!(
        out.contains("weights hf:birds/net: 100 tensors; the head was reinitialised"),
        "{out}"
    );
    assert!(out.contains("frozen except batch norms"), "{out}");
    let theirs: BTreeMap<String, Tensor> = {
        let path = shop.path("file.safetensors");
        fs::write(&path, weights_file(3)).expect("written");
        let source: equibatch_client::weights::Source =
            path.to_str().expect("UTF-8").parse().expect("a source");
        source
            .read(&Default::default())
            .expect("readable")
            .expect("weights")
            .tensors
    };
    let stage = checkpoint(&shop.path("stage-1.safetensors"));
    // 20 batch norms: scale, shift, mean and variance.
    assert_eq!(changed(&theirs, &stage.tensors), (0, 80));
    assert_eq!(stage.progress.config.lineage.weights, "hf:birds/net");
    assert!(!stage.tensors.contains_key("first_moment.conv1.weight"));

    let load = [
        "--load",
        &shop.text("stage-1"),
        "--unfreeze",
        "--max-lr",
        "1e-5..1e-2",
    ];
    shop.trained(&[&load[..], &["--epochs", "1", "--out", &second]].concat());
    let unfrozen = checkpoint(&shop.path("second/checkpoint.safetensors"));
    assert_eq!(
        changed(&stage.tensors, &unfrozen.tensors).0,
        20,
        "all convolutions learn"
    );
    let config = &unfrozen.progress.config;
    assert_eq!(
        (config.arch.as_str(), &config.frozen, config.epochs),
        ("resnet18@8", &Frozen::Body(false), 1)
    );
    assert_eq!(
        (
            config.lineage.epochs,
            config.lineage.steps,
            config.lineage.optimizer_steps
        ),
        (2, 8, 0)
    );
    // The stream went on behind the first stage.
    let position = unfrozen.progress.position.as_ref().expect("a position");
    assert_eq!((position.epoch, position.step), (3, 0));
}

#[test]
fn a_plain_head_is_taken_over_where_its_classes_fit() {
    let shop = Workshop::new();
    let path = shop.text("own.safetensors");
    let train = |run: &str, more: &[&str]| {
        shop.trained(
            &[
                &SMALL[..],
                &["--head", "plain", "--epochs", "1", "--out", &shop.text(run)],
                more,
            ]
            .concat(),
        )
    };
    train("made", &[]);
    let made = checkpoint(&shop.path("made/checkpoint.safetensors")).tensors;
    let wrapped = made
        .iter()
        .map(|(name, tensor)| (format!("module.{name}"), tensor.clone()))
        .collect();
    fs::write(&path, serialized(&wrapped)).expect("written");
    let out = train("again", &["--weights", &path]);
    assert!(out.contains("102 tensors; the head was loaded, too"), "{out}");
    let out = train("onnx", &["--weights", &shop.text("made/model.onnx")]);
    assert!(out.contains("102 tensors; the head was loaded, too"), "{out}");
    let begun = checkpoint(&shop.path("onnx/checkpoint.safetensors")).tensors;
    assert_eq!(
        changed(&made, &begun).0,
        0,
        "frozen convolutions are as in the model"
    );
    fs::write(&path, weights_file(3)).expect("written");
    let out = train("other", &["--weights", &path]);
    assert!(
        out.contains("the head was reinitialised (its `fc.bias` is [7], not [2])"),
        "{out}"
    );
}

#[test]
fn weights_that_do_not_fit_are_refused_with_everything_that_differs() {
    let shop = Workshop::new();
    let path = shop.text("narrow.safetensors");
    fs::write(&path, weights_file(3)).expect("written");
    let refused =
        |more: &[&str]| shop.train(&[&["--size", "32", "--batch-size", "8", "--epochs", "1"], more].concat());
    let (code, _, errors) = refused(&["--arch", "resnet18@16", "--weights", &path]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(
        errors.contains("`bn1.bias` is [8], not [16]") && errors.contains("more"),
        "{errors}"
    );
    let (code, _, errors) = refused(&["--arch", "resnet18@8", "--weights", "hf:birds/net", "--offline"]);
    assert_eq!(code, Some(69), "{errors}");
    let (code, _, errors) = refused(&["--weights", &shop.text("nothing.safetensors")]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(errors.contains("nothing.safetensors"), "{errors}");
    let (code, _, errors) = refused(&["--load", &shop.text("nothing")]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(errors.contains("nothing.safetensors"), "{errors}");
}

//! Training from pretrained weights: the hub, frozen bodies, heads.

use equibatch_client::learn::run::Frozen;
use equibatch_training::program::Tensor;
use std::{collections::BTreeMap, fs};

use super::setup::{SMALL, Setup, checkpoint};

use equibatch_client_tests::hub::{HubServer, serialized, weights_file};

/// The numbers of convolution weights and of other tensors that differ.
fn changed(before: &BTreeMap<String, Tensor>, after: &BTreeMap<String, Tensor>) -> (usize, usize) {
    let differs = |name: &&String| before.get(*name).is_some_and(|tensor| *tensor != after[*name]);
    let (convolutions, others): (Vec<_>, Vec<_>) = after
        .keys()
        .filter(differs)
        .partition(|name| after[*name].shape.len() == 4);
    (convolutions.len(), others.len())
}

/// The learning rate is so small that the last layer is as it began.
#[test]
fn a_new_head_starts_from_class_means() {
    let setup = Setup::new();
    let weights = setup.path("file.safetensors");
    fs::write(&weights, weights_file(3)).expect("written");
    let weights = setup.text("file.safetensors");
    let started = |name: &str, more: &[&str]| {
        let run = setup.text(name);
        let usual = [
            "--weights",
            &weights,
            "--head-init",
            "class-means",
            "--freeze=all",
            "--epochs=1",
            "--max-lr=1e-12",
            "--out",
            &run,
        ];
        let (code, out, errors) = setup.train(&[&SMALL[..], &usual[..], more].concat());
        let tensors =
            (code == Some(0)).then(|| checkpoint(&setup.path(name).join("checkpoint.safetensors")).tensors);
        (tensors, format!("{out}{errors}"))
    };
    let [one, other] = ["1", "2"].map(|seed| {
        let (tensors, said) = started(seed, &["--head", "plain", "--seed", seed]);
        tensors.expect(&said)
    });
    let difference = one["fc.weight"].data.iter().zip(&other["fc.weight"].data);
    let difference = difference
        .map(|(one, other)| (one - other).abs())
        .fold(0.0, f32::max);
    let largest = one["fc.weight"]
        .data
        .iter()
        .fold(0.0, |most: f32, number| most.max(number.abs()));
    // It depends on the images, and not on the seed.
    assert!(
        difference < 1e-4 * largest && largest > 0.0,
        "{difference} {largest}"
    );
    // b = -α‖μ‖² / 2 and w = αμ, with the same α for both classes.
    let features = one["fc.weight"].shape[1];
    let ratios: Vec<f32> = (0..2)
        .map(|class| {
            let own = &one["fc.weight"].data[class * features..][..features];
            one["fc.bias"].data[class] / own.iter().map(|number| number * number).sum::<f32>()
        })
        .collect();
    assert!(
        ratios[0] < 0.0 && (ratios[0] / ratios[1] - 1.0).abs() < 1e-3,
        "{ratios:?}"
    );
    let (cosine, said) = started("cosine", &["--head", "cosine"]);
    assert!(cosine.expect(&said).contains_key("fc.weight"));
    let (refused, said) = started("refused", &[]);
    assert!(refused.is_none() && said.contains("--head plain"), "{said}");
}

#[test]
fn a_body_from_the_hub_stays_frozen_until_it_is_unfrozen() {
    let setup = Setup::new();
    let hub = HubServer::start(weights_file(3));
    let (home, endpoint) = (setup.text("hub"), hub.hub.url(""));
    let (first, second) = (setup.text("first"), setup.text("second"));
    let out = setup.trained(
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
            &["--epochs", "2", "--out", &first, "--save", &setup.text("stage-1")],
        ]
        .concat(),
    );
    assert!(
        out.contains("weights hf:birds/net: 100 tensors; the head was reinitialised"),
        "{out}"
    );
    assert!(out.contains(", with its body frozen,"), "{out}");
    let theirs: BTreeMap<String, Tensor> = {
        let path = setup.path("file.safetensors");
        fs::write(&path, weights_file(3)).expect("written");
        let source: equibatch_client::weights::Source =
            path.to_str().expect("UTF-8").parse().expect("a source");
        source
            .read(&Default::default())
            .expect("readable")
            .expect("weights")
            .tensors
    };
    let stage = checkpoint(&setup.path("stage-1.safetensors"));
    assert_eq!(changed(&theirs, &stage.tensors), (0, 0));
    assert_eq!(stage.progress.config.lineage.weights, "hf:birds/net");
    assert!(!stage.tensors.contains_key("first_moment.conv1.weight"));

    let load = [
        "--load",
        &setup.text("stage-1"),
        "--unfreeze",
        "--max-lr",
        "1e-5..1e-2",
    ];
    setup.trained(&[&load[..], &["--epochs", "1", "--out", &second]].concat());
    let unfrozen = checkpoint(&setup.path("second/checkpoint.safetensors"));
    assert_eq!(
        changed(&stage.tensors, &unfrozen.tensors).0,
        20,
        "all convolutions are trained"
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
        (2, 6, 0)
    );
    // The stream continued after the first stage.
    let position = unfrozen.progress.position.as_ref().expect("a position");
    assert_eq!((position.epoch, position.step), (3, 0));
}

#[test]
fn a_plain_head_is_loaded_if_its_classes_fit() {
    let setup = Setup::new();
    let path = setup.text("own.safetensors");
    let train = |run: &str, more: &[&str]| {
        setup.trained(
            &[
                &SMALL[..],
                &["--head", "plain", "--epochs", "1", "--out", &setup.text(run)],
                more,
            ]
            .concat(),
        )
    };
    train("made", &[]);
    let made = checkpoint(&setup.path("made/checkpoint.safetensors")).tensors;
    let wrapped = made
        .iter()
        .map(|(name, tensor)| (format!("module.{name}"), tensor.clone()))
        .collect();
    fs::write(&path, serialized(&wrapped)).expect("written");
    let out = train("again", &["--weights", &path]);
    assert!(out.contains("102 tensors; the head was loaded, too"), "{out}");
    let out = train("onnx", &["--weights", &setup.text("made/model.onnx")]);
    assert!(out.contains("102 tensors; the head was loaded, too"), "{out}");
    let begun = checkpoint(&setup.path("onnx/checkpoint.safetensors")).tensors;
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
fn incompatible_weights_are_refused_with_all_differences() {
    let setup = Setup::new();
    let path = setup.text("narrow.safetensors");
    fs::write(&path, weights_file(3)).expect("written");
    let refused = |more: &[&str]| {
        setup.train(&[&["--size", "32", "--batch-size", "8", "--epochs", "1"], more].concat())
    };
    let (code, _, errors) = refused(&["--arch", "resnet18@16", "--weights", &path]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(
        errors.contains("`bn1.bias` is [8], not [16]") && errors.contains("more"),
        "{errors}"
    );
    let (code, _, errors) = refused(&["--arch", "resnet18@8", "--weights", "hf:birds/net", "--offline"]);
    assert_eq!(code, Some(69), "{errors}");
    let (code, _, errors) = refused(&["--weights", &setup.text("nothing.safetensors")]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(errors.contains("nothing.safetensors"), "{errors}");
    let (code, _, errors) = refused(&["--load", &setup.text("nothing")]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(errors.contains("nothing.safetensors"), "{errors}");
}

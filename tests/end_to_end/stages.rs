//! Experiments of several stages, the learning-rate finder, and the checkpoints that a run keeps.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use equibatch_client::learn::checkpoint::Checkpoint;
use equibatch_harness::process::{ClientProcess, arguments, text};
use serde_json::Value as Json;

use equibatch_client_tests::hub::weights_file;

use super::setup::{SMALL, Setup, checkpoint};

/// Two stages, the first of two epochs with a frozen body of another run, the second of one epoch with other images.
fn experiment(setup: &Setup) -> PathBuf {
    let body = setup.path("body.safetensors");
    fs::write(&body, weights_file(3)).expect("written");
    let content = format!(
        "arch = \"resnet18@8\"\nsize = 32\nbatch-size = 8\nseed = 5\nweights = {body:?}\n\n\
         [[stage]]\nname = \"head\"\nepochs = 2\nmax-lr = \"..3e-3\"\n\n\
         [[stage]]\nname = \"all\"\nepochs = 2\nfreeze = false\nbalance = \"natural\"\nmax-lr = \"1e-4..1e-2\"\n"
    );
    let file = setup.path("experiment.toml");
    fs::write(&file, content).expect("written");
    file
}

/// Every file of a folder that does not depend on the time.
fn lasting(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = ["checkpoint.safetensors", "model.onnx", "config.json"];
    names
        .map(|name| (name.to_owned(), fs::read(folder.join(name)).expect(name)))
        .into()
}

#[test]
fn an_experiment_equals_its_stages_and_survives_an_interruption() {
    let setup = Setup::new();
    let file = experiment(&setup);
    let file = file.to_str().expect("UTF-8");
    let [whole, broken] = ["whole", "broken"].map(|name| setup.text(name));
    let out = setup.trained(&["--experiment", file, "--out", &whole]);
    assert!(out.contains("stage 2 of 2: all"), "{out}");

    // In one run, and interrupted in the second stage.
    let mut process = ClientProcess::start(&arguments(
        "train --threads 1 --server",
        &[&setup.server.address, "--experiment", file, "--out", &broken],
    ));
    process.wait_for_line("stage 2 of 2");
    process.wait_for_line("1 ");
    process.interrupt();
    let (code, errors) = process.finish();
    assert_eq!(code, Some(130), "{errors}");
    let out = setup.trained(&["--resume", &broken]);
    assert!(out.contains("already complete"), "the first stage: {out}");
    for stage in ["head", "all"] {
        let [whole, broken] = [&whole, &broken].map(|run| lasting(&Path::new(run).join(stage)));
        assert!(whole == broken, "{stage} differs");
    }

    // The same stages, started one by one.
    let body = setup.text("body.safetensors");
    let usual = [&SMALL[..], &["--seed", "5", "--epochs", "2"]].concat();
    let by_hand = |more: &[&str]| setup.trained(&[&usual[..], more].concat());
    let [one, two] = ["one", "two"].map(|name| setup.text(name));
    by_hand(&[
        "--weights",
        &body,
        "--max-lr",
        "..3e-3",
        "--out",
        &one,
        "--save",
        &one,
    ]);
    by_hand(&arguments(
        "--unfreeze --balance natural --logit-adjust 0 --max-lr 1e-4..1e-2",
        &["--load", &setup.text("one.safetensors"), "--out", &two],
    ));
    for (stage, run) in [("head", "one"), ("all", "two")] {
        let of_file: Checkpoint = checkpoint(&Path::new(&whole).join(stage).join("checkpoint.safetensors"));
        let by_hand = checkpoint(&setup.path(run).join("checkpoint.safetensors"));
        assert!(of_file.tensors == by_hand.tensors, "{stage} differs");
        assert_eq!(of_file.progress, by_hand.progress, "{stage}");
    }

    // One stage alone.
    let three = setup.text("three");
    let out = setup.trained(&[
        "--experiment",
        file,
        "--stage",
        "all",
        "--load",
        &one,
        "--out",
        &three,
    ]);
    assert!(out.contains("2 epochs at 1e-4..1e-2"), "{out}");
    let alone = checkpoint(&setup.path("three/checkpoint.safetensors"));
    assert!(alone.tensors == checkpoint(&setup.path("two/checkpoint.safetensors")).tensors);
}

#[test]
fn a_single_stage_has_the_settings_of_the_run_that_it_is_loaded_from() {
    let setup = Setup::new();
    let (body, head) = (setup.text("body"), setup.text("head"));
    let network = ["--arch", "resnet18@2", "--size", "32", "--batch-size", "8"];
    setup.trained(
        &[
            &network[..],
            &["--balance", "natural", "--epochs", "1", "--out", &body],
        ]
        .concat(),
    );
    let stage = ["--experiment", "crt", "--stage", "head", "--load", &body];
    setup.trained(&[&stage[..], &["--epochs", "1", "--out", &head]].concat());
    let config = checkpoint(&setup.path("head/checkpoint.safetensors"))
        .progress
        .config;
    assert_eq!(
        (
            &*config.arch,
            config.image_size,
            config.batch_size,
            config.reset_head
        ),
        ("resnet18@2", 32, 8, true)
    );
}

#[test]
fn invalid_experiments_are_refused_before_training() {
    let setup = Setup::new();
    let file = setup.text("bad.toml");
    fs::write(&file, "size = 32\n[[stage]]\nepochs = 1\nmax-lr = \"quick\"\n").expect("written");
    let (code, _, errors) = setup.train(&["--experiment", &file]);
    assert_eq!(code, Some(64), "{errors}");
    assert!(
        errors.contains("bad.toml, line 4") && errors.contains("--max-lr"),
        "{errors}"
    );
    let (code, _, errors) = setup.train(&["--experiment", "reference", "--stage", "3"]);
    assert_eq!(code, Some(64), "{errors}");
    assert!(errors.contains("stage-1, stage-2"), "{errors}");
    let whole = setup.text("whole");
    fs::write(
        &file,
        "size = 32\nbatch-size = 8\narch = \"resnet18@2\"\n[[stage]]\nepochs = 1\n",
    )
    .expect("written");
    setup.trained(&["--experiment", &file, "--out", &whole]);
    let (code, _, errors) = setup.train(&["--experiment", &file, "--out", &whole]);
    assert_eq!(code, Some(64), "{errors}");
    let (code, _, errors) = setup.train(&["--resume", &whole, "--seed", "8"]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(errors.contains("seed was 42, now 8"), "{errors}");
}

#[test]
fn the_learning_rate_finder_leaves_a_run_unchanged() {
    let setup = Setup::new();
    let (run, found) = (setup.text("run"), setup.text("found"));
    setup.trained(&[&SMALL[..], &["--epochs", "1", "--out", &run]].concat());
    let before = lasting(Path::new(&run));
    let find = |more: &[&str]| setup.run("find-lr", &[&["--load", &run, "--out", &found], more].concat());
    let (code, out, errors) = find(&["--steps", "30", "--json"]);
    assert_eq!(code, Some(0), "{errors}");
    let sweep: Json = serde_json::from_str(&out).expect("JSON");
    let steps = sweep["steps"].as_array().expect("steps");
    assert!((17..=30).contains(&steps.len()), "{} steps", steps.len());
    for (step, point) in steps.iter().enumerate() {
        let rate = point["learning_rate"].as_f64().expect("a rate");
        let expected = 1e-7 * 1e8_f64.powf(step as f64 / 30.0);
        assert!((rate / expected - 1.0).abs() < 1e-12, "step {step}: {rate}");
    }
    // Batches of eight of two dozen images: the loss is noise.
    assert!(sweep["suggestions"].is_null(), "{}", sweep["suggestions"]);
    let reason = sweep["refused"].as_str().expect("a reason");
    assert!(
        reason.contains("suggests no learning rate") && reason.contains("--batch-size"),
        "{reason}"
    );
    for file in ["find-lr.png", "find-lr.svg", "find-lr.json"] {
        assert!(Path::new(&found).join(file).exists(), "{file}");
    }
    let (_, again, _) = find(&["--steps", "30", "--json"]);
    assert_eq!(again, out, "a search is deterministic");
    let (_, table, _) = find(&["--steps", "20"]);
    assert!(
        table.contains("learning rate") && table.contains("suggests no learning rate"),
        "{table}"
    );
    assert!(lasting(Path::new(&run)) == before);
}

#[test]
fn a_learning_rate_search_before_training_changes_only_the_rate() {
    let setup = Setup::new();
    let train = |run: &str, more: &[&str]| {
        setup.trained(&[&SMALL[..], &["--epochs", "1", "--out", &setup.text(run)], more].concat());
        checkpoint(&setup.path(run).join("checkpoint.safetensors"))
    };
    let plain = train("plain", &["--max-lr", "1e-3"]);
    let searched = train("searched", &["--max-lr", "1e-3", "--find-lr"]);
    assert!(plain.tensors == searched.tensors, "the search changed a file");
    assert!(setup.path("searched/find-lr.svg").exists());
    let page = fs::read_to_string(setup.path("searched/report.html")).expect("a report");
    assert!(
        page.contains("<figure id=\"find-lr\""),
        "the sweep is part of the report"
    );
    let clear = ["--recipe", "none", "--head", "plain", "--max-lr", "..found"];
    let found = train("found", &clear);
    let json = fs::read(setup.path("found/find-lr.json")).expect("figures");
    let figures: Json = serde_json::from_slice(&json).expect("JSON");
    let rate = |name: &str| figures["suggestions"][name].as_f64().expect("a suggestion");
    assert_eq!(found.progress.config.max_lr, format!("..{:.2e}", rate("valley")));
    assert!((1e-5..1e-1).contains(&rate("valley")), "{}", rate("valley"));
    assert!(
        ["steepest", "lowest_tenth"]
            .map(rate)
            .iter()
            .all(|rate| (1e-8..10.0).contains(rate))
    );

    // An unusable search is refused before a file is written.
    let refused = setup.text("refused");
    let (code, _, errors) = setup.train(&[&SMALL[..], &["--max-lr", "..found", "--out", &refused]].concat());
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains("--max-lr found") && errors.contains("--batch-size"),
        "{errors}"
    );
    assert!(!Path::new(&refused).exists(), "its folder was not removed");
}

#[test]
fn the_best_and_last_epochs_are_kept_and_early_stopping_ends_the_run() {
    let setup = Setup::new();
    let run = setup.text("run");
    // At this rate the loss rises sooner or later, reproducibly.
    let flags = "--seed 1 --epochs 12 --max-lr 1.0 --early-stopping 2 --save-best loss --keep-checkpoints 2";
    let out = setup.trained(&[&SMALL[..], &arguments(flags, &["--out", &run])].concat());
    let metrics = fs::read_to_string(setup.path("run/metrics.jsonl")).expect("metrics");
    let losses: Vec<f64> = metrics
        .lines()
        .map(|line| {
            serde_json::from_str::<Json>(line).expect("JSON")["valid"]["loss"]
                .as_f64()
                .expect("a loss")
        })
        .collect();
    let ended = checkpoint(&setup.path("run/checkpoint.safetensors"));
    let policy_state = ended.progress.policy_state;
    assert!(policy_state.stopped && losses.len() < 12, "{losses:?}");
    assert!(out.contains("stopped early: 2 epochs"), "{out}");
    let (value, epoch) = policy_state.best.expect("a best epoch");
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!((value, epoch as usize), (least, losses.len() - 2));
    assert_eq!(
        losses.iter().position(|&loss| loss == least),
        Some(losses.len() - 3)
    );

    let best = checkpoint(&setup.path("run/best.safetensors"));
    assert_eq!(best.progress.steps, u64::from(epoch) * 4);
    assert!(
        setup.path("run/best.onnx").exists() && out.contains("best by loss"),
        "{out}"
    );
    let kept: Vec<String> = fs::read_dir(setup.path("run/checkpoints"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let expected = [losses.len() - 1, losses.len()].map(|epoch| format!("epoch-{epoch:04}.safetensors"));
    assert_eq!(
        kept.iter().collect::<std::collections::BTreeSet<_>>(),
        expected.iter().collect()
    );
    let last = fs::read(setup.path("run/checkpoint.safetensors")).expect("a file");
    assert!(fs::read(setup.path("run/checkpoints").join(&expected[1])).expect("a file") == last);
    // A stopped run is complete.
    let out = setup.trained(&["--resume", &run]);
    assert!(out.contains("already complete"), "{out}");
    // Any kept checkpoint can be loaded.
    let kept = setup.path("run/checkpoints").join(&expected[0]);
    setup.trained(&[
        "--load",
        text(&kept),
        "--epochs",
        "1",
        "--out",
        &setup.text("next"),
    ]);
    let next = checkpoint(&setup.path("next/checkpoint.safetensors"));
    assert_eq!(next.progress.config.policy.early_stopping, None);

    let (code, _, errors) = setup.train(
        &[
            &SMALL[..],
            &["--save-best", "recall:dogs", "--out", &setup.text("x")],
        ]
        .concat(),
    );
    assert_eq!(code, Some(64), "{errors}");
    assert!(
        errors.contains("recall:dogs") && errors.contains("birds, flowers"),
        "{errors}"
    );
}

//! Several stages of training in one go, the learning-rate finder, and what is kept of a run.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use equibatch_client::learn::checkpoint::Checkpoint;
use equibatch_harness::process::ClientProcess;
use serde_json::Value as Json;

use equibatch_client_tests::hub::weights_file;

use crate::transfer::{SMALL, Workshop, checkpoint};

/// Two stages, the first of two epochs with a frozen body of another run, the second of one epoch with other images.
fn experiment(shop: &Workshop) -> PathBuf {
    let body = shop.path("body.safetensors");
    fs::write(&body, weights_file(3)).expect("written");
    let text = format!(
        "arch = \"resnet18@8\"\nsize = 32\nbatch-size = 8\nseed = 5\nweights = {body:?}\n\n\
         [[stage]]\nname = \"head\"\nepochs = 2\nmax-lr = \"..3e-3\"\n\n\
         [[stage]]\nname = \"all\"\nepochs = 2\nfreeze = false\nbalance = \"natural\"\nmax-lr = \"1e-4..1e-2\"\n"
    );
    let file = shop.path("experiment.toml");
    fs::write(&file, text).expect("written");
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
fn an_experiment_is_its_stages_one_after_the_other_and_survives_an_interruption() {
    let shop = Workshop::new();
    let file = experiment(&shop);
    let file = file.to_str().expect("UTF-8");
    let [whole, broken] = ["whole", "broken"].map(|name| shop.text(name));
    let out = shop.trained(&["--experiment", file, "--out", &whole]);
    assert!(out.contains("stage 2 of 2: all"), "{out}");

    // In one go, and interrupted in the second stage.
    let mut process = ClientProcess::start(&[
        "train",
        "--server",
        &shop.server.address,
        "--threads",
        "1",
        "--experiment",
        file,
        "--out",
        &broken,
    ]);
    process.wait_for_line("stage 2 of 2");
    process.wait_for_line("1 ");
    process.interrupt();
    let (code, errors) = process.finish();
    assert_eq!(code, Some(130), "{errors}");
    let out = shop.trained(&["--resume", &broken]);
    assert!(out.contains("already complete"), "the first stage: {out}");
    for stage in ["head", "all"] {
        let [whole, broken] = [&whole, &broken].map(|run| lasting(&Path::new(run).join(stage)));
        assert!(whole == broken, "{stage} differs");
    }

    // By hand.
    let body = shop.text("body.safetensors");
    let usual = [&SMALL[..], &["--seed", "5", "--epochs", "2"]].concat();
    let by_hand = |more: &[&str]| shop.trained(&[&usual[..], more].concat());
    by_hand(&[
        "--weights",
        &body,
        "--max-lr",
        "..3e-3",
        "--out",
        &shop.text("one"),
        "--save",
        &shop.text("one"),
    ]);
    let second = [
        "--unfreeze",
        "--balance",
        "natural",
        "--max-lr",
        "1e-4..1e-2",
        "--out",
        &shop.text("two"),
    ];
    by_hand(&[&["--load", &shop.text("one.safetensors")], &second[..]].concat());
    for (stage, run) in [("head", "one"), ("all", "two")] {
        let of_file: Checkpoint = checkpoint(&Path::new(&whole).join(stage).join("checkpoint.safetensors"));
        let by_hand = checkpoint(&shop.path(run).join("checkpoint.safetensors"));
        assert!(of_file.tensors == by_hand.tensors, "{stage} differs");
        assert_eq!(of_file.progress, by_hand.progress, "{stage}");
    }

    // One stage of it alone.
    let out = shop.trained(&[
        "--experiment",
        file,
        "--stage",
        "all",
        "--load",
        &shop.text("one"),
        "--out",
        &shop.text("three"),
    ]);
    assert!(out.contains("2 epochs at 1e-4..1e-2"), "{out}");
    let alone = checkpoint(&shop.path("three/checkpoint.safetensors"));
    assert!(alone.tensors == checkpoint(&shop.path("two/checkpoint.safetensors")).tensors);
}

#[test]
fn senseless_experiments_are_refused_before_anything_is_trained() {
    let shop = Workshop::new();
    let file = shop.text("bad.toml");
    fs::write(&file, "size = 32\n[[stage]]\nepochs = 1\nmax-lr = \"quick\"\n").expect("written");
    let (code, _, errors) = shop.train(&["--experiment", &file]);
    assert_eq!(code, Some(64), "{errors}");
    assert!(
        errors.contains("bad.toml, line 4") && errors.contains("--max-lr"),
        "{errors}"
    );
    let (code, _, errors) = shop.train(&["--experiment", "reference", "--stage", "3"]);
    assert_eq!(code, Some(64), "{errors}");
    assert!(errors.contains("stage-1, stage-2"), "{errors}");
    let whole = shop.text("whole");
    fs::write(
        &file,
        "size = 32\nbatch-size = 8\narch = \"resnet18@2\"\n[[stage]]\nepochs = 1\n",
    )
    .expect("written");
    shop.trained(&["--experiment", &file, "--out", &whole]);
    let (code, _, errors) = shop.train(&["--experiment", &file, "--out", &whole]);
    assert_eq!(code, Some(64), "{errors}");
    let (code, _, errors) = shop.train(&["--resume", &whole, "--seed", "8"]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(errors.contains("seed was 42, now 8"), "{errors}");
}

#[test]
fn the_finder_looks_at_a_run_and_leaves_it_as_it_is() {
    let shop = Workshop::new();
    let (run, found) = (shop.text("run"), shop.text("found"));
    shop.trained(&[&SMALL[..], &["--epochs", "1", "--out", &run]].concat());
    let before = lasting(Path::new(&run));
    let find = |more: &[&str]| shop.run("find-lr", &[&["--load", &run, "--out", &found], more].concat());
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
    // Batches of eight of two dozen images: nothing but noise.
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
    assert_eq!(again, out, "a search is a function of what it is given");
    let (_, table, _) = find(&["--steps", "20"]);
    assert!(
        table.contains("learning rate") && table.contains("suggests no learning rate"),
        "{table}"
    );
    assert!(lasting(Path::new(&run)) == before);
}

#[test]
fn a_search_before_training_changes_nothing_but_the_rate_that_it_finds() {
    let shop = Workshop::new();
    let train = |run: &str, more: &[&str]| {
        shop.trained(&[&SMALL[..], &["--epochs", "1", "--out", &shop.text(run)], more].concat());
        checkpoint(&shop.path(run).join("checkpoint.safetensors"))
    };
    let plain = train("plain", &["--max-lr", "1e-3"]);
    let searched = train("searched", &["--max-lr", "1e-3", "--find-lr"]);
    assert!(plain.tensors == searched.tensors, "the search has left a trace");
    assert!(shop.path("searched/find-lr.svg").exists());
    let page = fs::read_to_string(shop.path("searched/report.html")).expect("a report");
    assert!(
        page.contains("<figure id=\"find-lr\""),
        "the sweep is part of the report"
    );
    let clear = ["--recipe", "none", "--head", "plain", "--max-lr", "..found"];
    let found = train("found", &clear);
    let text = fs::read(shop.path("found/find-lr.json")).expect("figures");
    let figures: Json = serde_json::from_slice(&text).expect("JSON");
    let rate = |name: &str| figures["suggestions"][name].as_f64().expect("a suggestion");
    assert_eq!(found.progress.config.max_lr, format!("..{:.2e}", rate("valley")));
    assert!((1e-5..1e-1).contains(&rate("valley")), "{}", rate("valley"));
    assert!(
        ["steepest", "lowest_tenth"]
            .map(rate)
            .iter()
            .all(|rate| (1e-8..10.0).contains(rate))
    );

    // Noise is refused before anything is written.
    let refused = shop.text("refused");
    let (code, _, errors) = shop.train(&[&SMALL[..], &["--max-lr", "..found", "--out", &refused]].concat());
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains("--max-lr found") && errors.contains("--batch-size"),
        "{errors}"
    );
    assert!(!Path::new(&refused).exists(), "it left its folder behind");
}

#[test]
fn the_best_and_the_last_epochs_are_kept_and_a_run_that_gets_no_better_ends() {
    let shop = Workshop::new();
    let run = shop.text("run");
    // At such a rate a run gets worse sooner or later; the same every time.
    let flags = [
        "--seed",
        "1",
        "--epochs",
        "12",
        "--max-lr",
        "1.0",
        "--early-stopping",
        "2",
        "--save-best",
        "loss",
        "--keep-checkpoints",
        "2",
    ];
    let out = shop.trained(&[&SMALL[..], &flags, &["--out", &run]].concat());
    let metrics = fs::read_to_string(shop.path("run/metrics.jsonl")).expect("metrics");
    let losses: Vec<f64> = metrics
        .lines()
        .map(|line| {
            serde_json::from_str::<Json>(line).expect("JSON")["valid"]["loss"]
                .as_f64()
                .expect("a loss")
        })
        .collect();
    let ended = checkpoint(&shop.path("run/checkpoint.safetensors"));
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

    let best = checkpoint(&shop.path("run/best.safetensors"));
    assert_eq!(best.progress.steps, u64::from(epoch) * 4);
    assert!(
        shop.path("run/best.onnx").exists() && out.contains("best by loss"),
        "{out}"
    );
    let kept: Vec<String> = fs::read_dir(shop.path("run/checkpoints"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let expected = [losses.len() - 1, losses.len()].map(|epoch| format!("epoch-{epoch:04}.safetensors"));
    assert_eq!(
        kept.iter().collect::<std::collections::BTreeSet<_>>(),
        expected.iter().collect()
    );
    let last = fs::read(shop.path("run/checkpoint.safetensors")).expect("a file");
    assert!(fs::read(shop.path("run/checkpoints").join(&expected[1])).expect("a file") == last);
    // It is over, and stays so.
    let out = shop.trained(&["--resume", &run]);
    assert!(out.contains("already complete"), "{out}");
    // Any of them is a place to go on from.
    let kept = shop.path("run/checkpoints").join(&expected[0]);
    shop.trained(&[
        "--load",
        kept.to_str().expect("UTF-8"),
        "--epochs",
        "1",
        "--out",
        &shop.text("next"),
    ]);
    let next = checkpoint(&shop.path("next/checkpoint.safetensors"));
    assert_eq!(next.progress.config.policy.early_stopping, None);

    let (code, _, errors) = shop.train(
        &[
            &SMALL[..],
            &["--save-best", "recall:dogs", "--out", &shop.text("x")],
        ]
        .concat(),
    );
    assert_eq!(code, Some(64), "{errors}");
    assert!(
        errors.contains("recall:dogs") && errors.contains("birds, flowers"),
        "{errors}"
    );
}

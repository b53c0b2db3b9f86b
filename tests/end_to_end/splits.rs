//! The validation split while files are added and removed, and a run's warning about it.

use std::{fs, path::Path};

use equibatch_engine::dataset::{Dataset, ScanOptions, Split};
use equibatch_harness::{
    images::ImageFolder,
    process::{ServerProcess, client, errors, text},
};

use super::setup::{pictures, train};

/// Adds `count` birds to the ten of [`pictures`].
fn add(images: &ImageFolder, count: usize) {
    for index in 10..10 + count {
        // Every third name is that of a PNG.
        let like = images.file("birds", index % 3);
        fs::copy(like, images.file("birds", index)).unwrap();
    }
}

fn scanned(root: &Path, split_seed: u64) -> Dataset {
    let options = ScanOptions {
        split_seed,
        ..ScanOptions::default()
    };
    Dataset::scan("pictures", root, &options).unwrap()
}

/// How many images of `before` are in another split in `now`: from train, and to train.
fn moved(before: &Dataset, now: &Dataset) -> (usize, usize) {
    let moves = before.samples.iter().filter_map(|sample| {
        let found = now.samples.iter().find(|other| other.path == sample.path)?;
        (found.split != sample.split).then_some(sample.split)
    });
    let (from, to): (Vec<_>, Vec<_>) = moves.partition(|split| *split == Split::Train);
    (from.len(), to.len())
}

#[test]
fn added_or_removed_files_move_no_others_between_splits() {
    let images = pictures();
    let before = scanned(images.root(), 42);
    assert_eq!(before.counts(Split::Valid), [2, 4]);
    for count in [1, 10, 100] {
        add(&images, count);
        let now = scanned(images.root(), 42);
        assert_ne!(before.fingerprint, now.fingerprint);
        assert_eq!(
            (moved(&before, &now), moved(&now, &before)),
            ((0, 0), (0, 0)),
            "{count}"
        );
        // One of every five.
        let held_out = now.counts(Split::Valid)[0] as usize;
        assert!(
            (2 + count / 5..=2 + count.div_ceil(5)).contains(&held_out),
            "{held_out}"
        );
    }
    // Another seed gives another split.
    assert_ne!(moved(&before, &scanned(images.root(), 43)), (0, 0));
}

#[test]
fn a_run_on_changed_images_warns_and_counts_those_that_changed_split() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (run, saved) = (folder.path().join("run"), folder.path().join("saved"));
    let server = ServerProcess::start(images.root(), &[]);
    let arguments = train(
        &server.address,
        &["--epochs", "1", "--out", text(&run), "--save", text(&saved)],
    );
    let output = client(&arguments);
    assert!(output.status.success(), "{output:?}");
    let evaluate = |server: &ServerProcess, what: &[&str]| {
        let output = client(&[&["evaluate", "--server", &server.address], what].concat());
        assert!(output.status.success(), "{output:?}");
        errors(&output)
    };
    assert!(!evaluate(&server, &[text(&run)]).contains("the dataset has changed"));
    drop(server);

    for count in [1, 10, 100] {
        add(&images, count);
        let server = ServerProcess::start(images.root(), &[]);
        let said = evaluate(&server, &[text(&run)]);
        let expected = format!("0 images changed splits; {count} were added and 0 removed");
        assert!(
            said.contains("the dataset has changed") && said.contains(&expected),
            "{said}"
        );
    }

    let server = ServerProcess::start(images.root(), &["--split-seed", "43"]);
    let trained = pictures();
    let (from, to) = moved(&scanned(trained.root(), 42), &scanned(images.root(), 43));
    assert!(from > 0 && to > 0);
    let expected = format!(
        "{} images changed splits: {from} from train to valid, {to} from valid to train; 100 were added",
        from + to
    );
    let leak = format!("trained on {from} images that are now in valid");
    let warns = |said: &str| said.contains(&expected) && said.contains(&leak);
    let said = evaluate(&server, &[text(&run)]);
    assert!(warns(&said), "{said}\n{expected}");
    let said = evaluate(&server, &["--model", text(&run.join("model.onnx"))]);
    assert!(warns(&said), "{said}");
    let output = client(&["report", "--judge", "--server", &server.address, text(&run)]);
    assert!(output.status.success() && warns(&errors(&output)), "{output:?}");

    let next = folder.path().join("next");
    let load = ["--epochs", "1", "--load", text(&saved), "--out", text(&next)];
    let output = client(&train(&server.address, &load));
    assert!(output.status.success() && warns(&errors(&output)), "{output:?}");
    // The new run records the current images.
    assert!(!evaluate(&server, &[text(&next)]).contains("the dataset has changed"));

    let output = client(&["train", "--server", &server.address, "--resume", text(&run)]);
    let said = errors(&output);
    assert!(
        !output.status.success() && warns(&said) && said.contains("--load"),
        "{output:?}"
    );
}

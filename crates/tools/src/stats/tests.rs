use std::fs;
use std::path::Path;

use ::image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use equibatch_engine::dataset::{ScanOptions, scan_lenient};
use equibatch_engine::sampling::{Balance, LastBatch, Order, Plan, PlanSpec};

/// `train/CLASS/N.png`, each of uniform colour.
fn folder(classes: &[(&str, &[[u8; 3]])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (class, colours) in classes {
        for (number, colour) in colours.iter().enumerate() {
            plain(
                root.path(),
                &format!("train/{class}/{number}.png"),
                (30, 20),
                *colour,
            );
        }
    }
    root
}

fn plain(root: &Path, path: &str, (width, height): (u32, u32), colour: [u8; 3]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(width, height, Rgb(colour))
        .save(path)
        .unwrap();
}

fn options() -> StatsOptions {
    StatsOptions {
        image_size: 16,
        batch_size: NonZeroU32::new(4).unwrap(),
        policies: Policy::defaults(),
        epochs: None,
        pixels: true,
    }
}

fn read(root: &TempDir) -> Dataset {
    let all = ScanOptions {
        valid_fraction: 0.0,
        ..ScanOptions::default()
    };
    scan_lenient("pictures", root.path(), &all).unwrap()
}

#[test]
fn counts_and_sizes_are_those_of_the_files() {
    let root = folder(&[("a", &[[0; 3]; 6]), ("b", &[[9; 3]; 2])]);
    plain(root.path(), "test/b/wide.png", (100, 10), [1; 3]);
    fs::write(root.path().join("train/a/broken.png"), b"no image").unwrap();
    let stats = stats(&read(&root), &options(), &|| {}).unwrap();
    let counts = |train, test| Counts {
        train,
        valid: 0,
        test,
    };
    assert_eq!(stats.classes[0].images, counts(6, 0));
    assert_eq!(stats.classes[1].images, counts(2, 1));
    assert_eq!(stats.imbalance_ratio, Some(3.0));
    let sizes = stats.sizes.as_ref().unwrap();
    assert_eq!((sizes.images, sizes.enlarged), (9, 1));
    assert_eq!(
        (sizes.width.min, sizes.width.median, sizes.width.max),
        (30, 30, 100)
    );
    // Short sides become ceil(16 * 8 / 7) = 19, so 30x20 becomes 29x19; 100x10 stays; each with eight bytes of slack.
    assert_eq!(sizes.decoded_bytes, 8 * (29 * 19 * 3 + 8) + (100 * 10 * 3 + 8));
    assert_eq!(stats.unusable[0].path, "train/a/broken.png");
    let text = text(&stats);
    assert!(text.contains("b          2      0     1\n"), "{text}");
}

#[test]
fn undecodable_files_are_listed() {
    let root = folder(&[("a", &[[0; 3]; 2]), ("b", &[[9; 3]; 2])]);
    let path = root.path().join("train/b/1.png");
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
    fs::write(&path, bytes).unwrap();
    let stats = stats(&read(&root), &options(), &|| {}).unwrap();
    assert_eq!(stats.unusable.len(), 1);
    assert_eq!(stats.unusable[0].path, "train/b/1.png");
    assert_eq!(stats.pixels.unwrap().images, 3);
}

#[test]
fn balanced_means_weight_classes_and_natural_means_weight_images() {
    let root = folder(&[
        ("a", &[[0, 0, 51], [0, 0, 51], [0, 255, 51]]),
        ("b", &[[255, 0, 51]]),
    ]);
    let pixels = stats(&read(&root), &options(), &|| {}).unwrap().pixels.unwrap();
    let close = |found: [f64; 3], expected: [f64; 3]| {
        let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-12, "{found:?} {expected:?}");
    };
    close(pixels.natural.mean, [0.25, 0.25, 0.2]);
    close(pixels.natural.std, [0.1875_f64.sqrt(), 0.1875_f64.sqrt(), 0.0]);
    close(pixels.balanced.mean, [0.5, 1.0 / 6.0, 0.2]);
}

#[test]
fn predicted_draws_equal_those_of_the_plan() {
    let root = folder(&[("a", &[[0; 3]; 13]), ("b", &[[0; 3]; 5]), ("c", &[[0; 3]; 1])]);
    let dataset = read(&root);
    let policies = [
        "natural",
        "oversample",
        "undersample",
        "power:0.5",
        "effective:0.9",
    ];
    let options = StatsOptions {
        policies: policies.map(|name| name.parse().unwrap()).to_vec(),
        pixels: false,
        ..options()
    };
    let found = stats(&dataset, &options, &|| {}).unwrap().policies;
    let balances = [
        Balance::Natural,
        Balance::Oversample,
        Balance::Undersample,
        Balance::Power(0.5),
        Balance::Effective(0.9),
    ];
    for (found, balance) in found.iter().zip(balances) {
        let plan = plan(&dataset, balance);
        let mut uses = vec![0_u64; dataset.samples.len()];
        for slot in (0..plan.steps_per_epoch()).flat_map(|step| plan.batch(0, step)) {
            uses[slot.sample as usize] += 1;
        }
        assert_eq!(found.steps_per_epoch, plan.steps_per_epoch(), "{}", found.policy);
        for (class, draws) in dataset.members(Split::Train).iter().zip(&found.classes) {
            let uses: Vec<u64> = class.iter().map(|&id| uses[id as usize]).collect();
            assert_eq!(draws.draws, uses.iter().sum::<u64>(), "{}", found.policy);
            assert_eq!(Some(&draws.least), uses.iter().min(), "{}", found.policy);
            assert_eq!(Some(&draws.most), uses.iter().max(), "{}", found.policy);
            let seen = uses.iter().filter(|&&uses| uses > 0).count() as u64;
            assert_eq!(draws.seen, seen, "{}", found.policy);
        }
    }
}

/// The plan of the train split in batches of four.
fn plan(dataset: &Dataset, balance: Balance) -> Plan {
    Plan::new(PlanSpec {
        members: dataset.members(Split::Train).into(),
        balance,
        images_per_epoch: None,
        batch_size: 4,
        last_batch: LastBatch::Keep,
        order: Order::Shuffled,
        seed: 7,
    })
    .unwrap()
}

#[test]
fn epochs_to_cover_is_exact() {
    let root = folder(&[("a", &[[0; 3]; 13]), ("b", &[[0; 3]; 5])]);
    let dataset = read(&root);
    let options = StatsOptions {
        policies: vec!["undersample".parse().unwrap()],
        pixels: false,
        ..options()
    };
    let found = &stats(&dataset, &options, &|| {}).unwrap().policies[0];
    assert_eq!((found.coverage, found.epochs_to_cover), (10.0 / 18.0, Some(3)));
    let plan = plan(&dataset, Balance::Undersample);
    let seen_after = |epochs: u64| {
        let steps = (0..epochs).flat_map(|epoch| (0..plan.steps_per_epoch()).map(move |step| (epoch, step)));
        let slots = steps.flat_map(|(epoch, step)| plan.batch(epoch, step));
        slots
            .map(|slot| slot.sample)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert_eq!((seen_after(2), seen_after(3)), (5 + 10, 18));
}

#[test]
fn schedules_are_listed_by_runs_of_equal_epochs() {
    let root = folder(&[("a", &[[0; 3]; 8]), ("b", &[[0; 3]; 2])]);
    let dataset = read(&root);
    let options = StatsOptions {
        policies: ["natural>oversample@0.8", "progressive"]
            .map(|name| name.parse().unwrap())
            .to_vec(),
        epochs: NonZeroU32::new(10),
        pixels: false,
        ..options()
    };
    let stats = stats(&dataset, &options, &|| {}).unwrap();
    let draws = |policy: &PolicyStats| policy.classes.iter().map(|class| class.draws).collect::<Vec<_>>();
    let found: Vec<_> = stats
        .policies
        .iter()
        .map(|policy| (policy.epochs.unwrap(), draws(policy)))
        .collect();
    let expected = [
        ((0, 7), vec![8, 2]),
        ((8, 9), vec![5, 5]),
        // 8 - u / 3 after u of 9 epochs, rounded down.
        ((0, 0), vec![8, 2]),
        ((1, 3), vec![7, 3]),
        ((4, 6), vec![6, 4]),
        ((7, 9), vec![5, 5]),
    ];
    assert_eq!(found, expected);
    let text = text(&stats);
    for line in [
        "natural>oversample@0.8, epochs 0 to 7",
        "progressive, epoch 0 ",
        "progressive, epochs 7 to 9",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn invalid_policies_are_refused() {
    for name in ["", "Oversample", "power", "power:", "power:x", "weights:1"] {
        assert!(name.parse::<Policy>().is_err(), "{name}");
    }
}

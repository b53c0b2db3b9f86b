//! Mixup and cutmix: mixed images and their labels.

use std::collections::BTreeMap;

use equibatch_harness::{
    images::ImageFolder,
    process,
    receive::{Received, floats, receive, small},
};
use equibatch_proto::v1::{Augment, Batch, ElementType, Layout, Recipe, Shard, StreamBatchesRequest};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use serde_json::Value;
use tonic::Code;

mod from_natural;

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 17), ("trees", 9)])
}

fn server(images: &ImageFolder, threads: usize) -> MemoryServer {
    MemoryServer::start(engine(images.root(), config(threads, 1 << 26)))
}

fn request(recipe: &str, batch_size: u32) -> StreamBatchesRequest {
    StreamBatchesRequest {
        batch_size: Some(batch_size),
        recipe: Some(Recipe {
            text: recipe.to_owned(),
            ..Recipe::default()
        }),
        ..small("train", 1)
    }
}

async fn stream(server: &MemoryServer, request: &StreamBatchesRequest) -> Received {
    receive(&mut server.client().await, request.clone())
        .await
        .unwrap()
}

/// The text of `server explain` for the first batch of six images.
fn explanation(images: &ImageFolder, recipe: &str) -> String {
    let root = images.root().to_str().unwrap();
    let output = process::server(&[
        "explain",
        root,
        "--batch-size",
        "6",
        "--size",
        "32",
        "--recipe",
        recipe,
    ]);
    String::from_utf8(output.stdout).unwrap()
}

/// The output of `server explain --json` for the first batch, which names the partner of each image.
fn explained(images: &ImageFolder, recipe: &str, batch_size: u32) -> Vec<Value> {
    let root = images.root().to_str().unwrap();
    let size = batch_size.to_string();
    let mut command = vec![
        "explain",
        root,
        "--seed",
        "7",
        "--batch-size",
        &size,
        "--size",
        "32",
    ];
    command.extend(["--recipe", recipe, "--json"]);
    let output = process::server(&command);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The sum of label weights of each class over batches.
fn exposure(batches: &[Batch]) -> BTreeMap<u32, f64> {
    let mut shown = BTreeMap::new();
    for batch in batches {
        for (image, &label) in batch.labels.iter().enumerate() {
            let weight = batch
                .mixed_weights
                .get(image)
                .map_or(0.0, |&weight| f64::from(weight));
            *shown.entry(label).or_default() += 1.0 - weight;
            if weight > 0.0 {
                *shown.entry(batch.mixed_labels[image]).or_default() += weight;
            }
        }
    }
    shown
}

fn counts(batches: &[Batch]) -> BTreeMap<u32, f64> {
    let mut counts = BTreeMap::new();
    for &label in batches.iter().flat_map(|batch| &batch.labels) {
        *counts.entry(label).or_default() += 1.0;
    }
    counts
}

#[tokio::test]
async fn a_mixed_batch_follows_from_the_unmixed_batch_and_its_explanation() {
    const SIDE: usize = 32;
    let images = pictures();
    let server = server(&images, 2);
    let plain = &stream(&server, &request("fastai", 7)).await.batches[0];
    assert!(plain.mixed_labels.is_empty() && plain.mixed_weights.is_empty());
    let values = floats(plain);
    let image = |slot: usize| &values[slot * 3 * SIDE * SIDE..(slot + 1) * 3 * SIDE * SIDE];
    for recipe in [
        "fastai mixup",
        "fastai mixup(0.2,p=0.5)",
        "fastai cutmix",
        "fastai cutmix(0.5)",
    ] {
        let mixed = &stream(&server, &request(recipe, 7)).await.batches[0];
        assert_eq!(
            (&mixed.labels, &mixed.sample_ids),
            (&plain.labels, &plain.sample_ids)
        );
        let explained = explained(&images, recipe, 7);
        let found = floats(mixed);
        let mut alone = 0;
        for slot in 0..7 {
            let mixture = &explained[slot]["mixture"];
            let partner = mixture["partner"]
                .as_u64()
                .map_or(slot, |partner| partner as usize);
            alone += usize::from(partner == slot);
            assert_eq!(
                mixed.mixed_labels[slot], plain.labels[partner],
                "{recipe}, {slot}"
            );
            let weight = mixed.mixed_weights[slot];
            assert_eq!(
                f64::from(weight),
                mixture["weight"]
                    .as_f64()
                    .map_or(0.0, |weight| f64::from(weight as f32))
            );
            let number = |name: &str| {
                mixture["blend"]["within"][name]
                    .as_u64()
                    .map(|number| number as usize)
            };
            let (own, other) = (image(slot), image(partner));
            let mut taken = 0;
            for at in 0..own.len() {
                let (row, column) = (at % (SIDE * SIDE) / SIDE, at % SIDE);
                let expected = match (number("top"), number("left"), number("height"), number("width")) {
                    (Some(top), Some(left), Some(height), Some(width)) => {
                        let is_taken =
                            (top..top + height).contains(&row) && (left..left + width).contains(&column);
                        taken += usize::from(is_taken);
                        if is_taken { other[at] } else { own[at] }
                    }
                    _ => own[at] * (1.0 - weight) + other[at] * weight,
                };
                assert_eq!(
                    found[slot * own.len() + at],
                    expected,
                    "{recipe}, image {slot}, element {at}"
                );
            }
            if recipe.contains("cutmix") {
                assert_eq!(taken as f32 / own.len() as f32, weight, "the weight is the area");
            }
        }
        assert!(alone % 2 == 1, "pairs of seven images leave one: {alone}");
        assert!(recipe.contains("p=") || alone == 1, "{recipe}: {alone}");
    }
}

#[tokio::test]
async fn every_element_type_and_layout_is_mixed() {
    let images = pictures();
    let server = server(&images, 2);
    for (recipe, element_type, tolerance) in [
        ("mixup", ElementType::F16, 0.004),
        ("mixup", ElementType::U8, 2.0),
        ("cutmix", ElementType::F16, 0.002),
        ("cutmix", ElementType::U8, 1.0),
        ("mixup(2,from=natural)", ElementType::F16, 0.004),
        ("mixup(2,from=natural)", ElementType::U8, 2.0),
        ("cutmix(from=natural)", ElementType::F16, 0.002),
        ("cutmix(from=natural)", ElementType::U8, 1.0),
    ] {
        let mut reference = request(recipe, 6);
        reference.layout = Layout::Nhwc.into();
        let single = &stream(&server, &reference).await.batches[0];
        let other = &stream(
            &server,
            &StreamBatchesRequest {
                element_type: element_type.into(),
                ..reference
            },
        )
        .await
        .batches[0];
        assert_eq!(single.mixed_weights, other.mixed_weights);
        let expected = floats(single);
        let bytes_each = other.tensor.len() / expected.len();
        for (at, bytes) in other.tensor.chunks(bytes_each).enumerate() {
            let (mean, std) = ([0.485, 0.456, 0.406][at % 3], [0.229, 0.224, 0.225][at % 3]);
            let (found, expected) = match *bytes {
                [byte] => (f32::from(byte), (expected[at] * std + mean) * 255.0),
                [a, b] => (half::f16::from_le_bytes([a, b]).to_f32(), expected[at]),
                _ => panic!("{bytes_each} bytes an element"),
            };
            assert!(
                (found - expected).abs() <= tolerance,
                "{recipe} {element_type:?} {at}: {found}, not {expected}"
            );
        }
    }
}

#[tokio::test]
async fn shards_of_any_number_together_are_the_mixed_batch() {
    let images = pictures();
    let one = server(&images, 1);
    let other = server(&images, 3);
    for recipe in [
        "fastai mixup cutmix",
        "flip mixup(p=0.5) augment=repeats",
        "fastai mixup(from=natural) cutmix(p=0.7,from=natural)",
    ] {
        let whole = stream(&one, &request(recipe, 7)).await;
        let bytes = whole.batches[0].tensor.len() / 7;
        for world in [1, 2, 3, 7] {
            for rank in 0..world {
                let mut part = request(recipe, 7);
                part.shard = Some(Shard { world, rank });
                let part = stream(&other, &part).await;
                assert_eq!(part.batches.len(), whole.batches.len());
                for (part, whole) in part.batches.iter().zip(&whole.batches) {
                    let slots: Vec<usize> = (rank as usize..7).step_by(world as usize).collect();
                    let tensor: Vec<&[u8]> = slots
                        .iter()
                        .map(|slot| &whole.tensor[slot * bytes..][..bytes])
                        .collect();
                    assert!(
                        part.tensor == tensor.concat(),
                        "{recipe}: shard {rank} of {world}"
                    );
                    let labels: Vec<u32> = slots.iter().map(|&slot| whole.mixed_labels[slot]).collect();
                    let weights: Vec<f32> = slots.iter().map(|&slot| whole.mixed_weights[slot]).collect();
                    assert_eq!((&part.mixed_labels, &part.mixed_weights), (&labels, &weights));
                }
            }
        }
    }
}

#[tokio::test]
async fn mixing_keeps_the_quota_of_each_class() {
    let images = pictures();
    let server = server(&images, 2);
    for recipe in ["mixup", "cutmix", "fastai mixup(0.1,p=0.7) cutmix(2)"] {
        for batch_size in [6, 9, 13] {
            let received = stream(&server, &request(recipe, batch_size)).await;
            for batch in &received.batches {
                let batch = std::slice::from_ref(batch);
                assert_eq!(
                    exposure(batch),
                    counts(batch),
                    "{recipe}, batches of {batch_size}"
                );
            }
            let epoch = exposure(&received.batches);
            let draws = received
                .description
                .draws_per_class
                .iter()
                .map(|&draws| draws as f64);
            assert_eq!(epoch.into_values().collect::<Vec<_>>(), draws.collect::<Vec<_>>());
            let mixed = received.batches.iter().flat_map(|batch| &batch.mixed_weights);
            assert!(mixed.filter(|weight| **weight > 0.0).count() > received.batches.len());
        }
    }
}

#[tokio::test]
async fn first_uses_that_are_not_augmented_are_not_mixed() {
    let images = pictures();
    let server = server(&images, 2);
    let mut asked = request("fastai mixup", 6);
    asked.recipe.as_mut().unwrap().augment = Augment::Repeats.into();
    let received = stream(&server, &asked).await;
    let mut seen = std::collections::BTreeSet::new();
    let mut mixed = 0;
    for batch in &received.batches {
        for (slot, &sample) in batch.sample_ids.iter().enumerate() {
            let is_first = seen.insert(sample);
            let is_mixed = batch.mixed_weights[slot] > 0.0;
            assert!(
                !(is_first && is_mixed),
                "sample {sample} is mixed at its first use"
            );
            mixed += usize::from(is_mixed);
        }
    }
    assert!(mixed > 6, "repetitions are mixed: {mixed}");
}

#[tokio::test]
async fn mixing_is_rejected_for_the_validation_split() {
    let images = pictures();
    let server = server(&images, 1);
    for recipe in ["mixup", "cutmix", "cutmix(from=natural)"] {
        let mut asked = request(recipe, 6);
        asked.split = "valid".to_owned();
        let status = receive(&mut server.client().await, asked).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains("valid"), "{status:?}");
    }
}

#[test]
fn the_text_explanation_describes_mixtures() {
    let images = pictures();
    for (recipe, words) in [
        ("mixup", &["mixed with", "%"][..]),
        ("cutmix", &["mixed with", "rows", "columns"]),
    ] {
        let text = explanation(&images, recipe);
        for word in words.iter().chain(&["sum of label weights", "birds 2"]) {
            assert!(text.contains(word), "{word} in {text}");
        }
    }
}

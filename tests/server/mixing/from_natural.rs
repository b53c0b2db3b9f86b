//! Images of the balance, mixed into natural ones.

use equibatch_proto::v1::{Balance, LastBatch, Order, balance};

use super::{
    Augment, BTreeMap, Code, Received, Shard, StreamBatchesRequest, counts, exposure, floats, pictures,
    receive, request, server, small, stream,
};

const SIDE: usize = 32;

/// The pixels of each training image, not augmented, by sample id.
async fn images_by_sample(server: &super::MemoryServer) -> BTreeMap<u32, Vec<f32>> {
    let natural = balance::Policy::Natural(balance::Natural {});
    let all = StreamBatchesRequest {
        balance: Some(Balance {
            policy: Some(natural),
        }),
        order: Order::Sequential.into(),
        last_batch: LastBatch::Keep.into(),
        ..request("none", 6)
    };
    let mut images = BTreeMap::new();
    for batch in stream(server, &all).await.batches {
        let values = floats(&batch);
        let pixels = values.chunks(3 * SIDE * SIDE).map(<[f32]>::to_vec);
        images.extend(batch.sample_ids.iter().copied().zip(pixels));
    }
    images
}

/// Whether `mixed` is `background` with one rectangle of `patch`, whose area is `weight` of the image.
fn is_pasted(mixed: &[f32], background: &[f32], patch: &[f32], weight: f32) -> bool {
    let is_of = |image: &[f32], at: usize| {
        (0..3).all(|plane| mixed[plane * SIDE * SIDE + at] == image[plane * SIDE * SIDE + at])
    };
    let pasted: Vec<(usize, usize)> = (0..SIDE * SIDE)
        .filter(|&at| !is_of(background, at))
        .map(|at| (at / SIDE, at % SIDE))
        .collect();
    // Pixels that are equal in both images are in the rectangle, too.
    let bounds = |values: Vec<usize>| match (values.iter().min(), values.iter().max()) {
        (Some(least), Some(most)) => most - least + 1,
        _ => 0,
    };
    let rows = bounds(pasted.iter().map(|(row, _)| *row).collect());
    let columns = bounds(pasted.iter().map(|(_, column)| *column).collect());
    pasted
        .iter()
        .all(|(row, column)| is_of(patch, row * SIDE + column))
        && (rows * columns) as f32 / (SIDE * SIDE) as f32 == weight
}

#[tokio::test]
async fn balanced_images_are_mixed_into_natural_ones_as_the_labels_say() {
    let images = pictures();
    let server = server(&images, 2);
    let by_sample = images_by_sample(&server).await;
    let plain = stream(&server, &request("none", 6)).await;
    for recipe in ["mixup(0.4,from=natural)", "cutmix(1,from=natural)"] {
        let mixed = stream(&server, &request(recipe, 6)).await;
        assert_eq!(mixed.batches.len(), plain.batches.len());
        let mut visible = 0;
        for (mixed, plain) in mixed.batches.iter().zip(&plain.batches) {
            assert_eq!(
                mixed.mixed_labels, plain.labels,
                "the images of the balance are mixed in"
            );
            let (found, patches) = (floats(mixed), floats(plain));
            let images = found.chunks(3 * SIDE * SIDE).zip(patches.chunks(3 * SIDE * SIDE));
            for (slot, (found, patch)) in images.enumerate() {
                let background = &by_sample[&mixed.sample_ids[slot]];
                let weight = mixed.mixed_weights[slot];
                visible += usize::from(weight > 0.0);
                if recipe.starts_with("cutmix") {
                    let is_same = mixed.sample_ids[slot] == plain.sample_ids[slot];
                    assert!(
                        is_same || is_pasted(found, background, patch, weight),
                        "{recipe}, image {slot}"
                    );
                } else {
                    let sums = background
                        .iter()
                        .zip(patch)
                        .map(|(own, other)| own * (1.0 - weight) + other * weight);
                    assert!(found.iter().copied().eq(sums), "{recipe}, image {slot}");
                }
            }
        }
        assert!(visible > 12, "{recipe}: {visible} mixed images");
    }
}

#[tokio::test]
async fn label_weights_are_what_both_quotas_predict() {
    let images = pictures();
    let server = server(&images, 2);
    for recipe in ["fastai mixup(2,from=natural)", "cutmix(from=natural)"] {
        let Received { description, batches } = stream(&server, &request(recipe, 6)).await;
        let background = description.background.expect("a background");
        let steps = description.steps_per_epoch;
        // The largest class has 13 training images; the last, incomplete batch of 39 is dropped.
        assert_eq!(description.draws_per_class, [12, 12, 12]);
        assert_eq!((steps, background.draws_per_class.iter().sum::<u64>()), (6, 36));
        let sums =
            |counts: BTreeMap<u32, f64>| counts.into_values().map(|count| count as u64).collect::<Vec<_>>();
        assert_eq!(sums(counts(&batches)), background.draws_per_class);
        let mut mixed_in = vec![0; 3];
        for batch in &batches {
            let weight = f64::from(batch.mixed_weights[0]);
            assert!(
                batch
                    .mixed_weights
                    .iter()
                    .all(|&other| f64::from(other) == weight)
            );
            let natural = counts(std::slice::from_ref(batch));
            let of = |class: u32| {
                let balanced = batch.mixed_labels.iter().filter(|&&label| label == class).count();
                (1.0 - weight) * natural.get(&class).unwrap_or(&0.0) + weight * balanced as f64
            };
            for (class, shown) in exposure(std::slice::from_ref(batch)) {
                assert_eq!(shown, of(class), "{recipe}, class {class} of step {}", batch.step);
            }
            batch
                .mixed_labels
                .iter()
                .for_each(|&label| mixed_in[label as usize] += 1);
        }
        assert_eq!(mixed_in, description.draws_per_class, "{recipe}");
        assert!(
            (0.2..0.8).contains(&background.mean_mixed_weight),
            "{background:?}"
        );
    }
    let pairs = stream(&server, &request("mixup", 6)).await;
    assert_eq!(pairs.description.background, None);
}

#[tokio::test]
async fn any_server_continues_from_any_token_with_any_number_of_shards() {
    let images = pictures();
    let recipe = "fastai mixup(from=natural) cutmix(p=0.5,from=natural)";
    let asked = StreamBatchesRequest {
        epochs: Some(2),
        ..request(recipe, 6)
    };
    let whole = stream(&server(&images, 2), &asked).await;
    let other = server(&images, 3);
    let bytes = whole.batches[0].tensor.len() / 6;
    for (index, batch) in whole.batches.iter().enumerate().step_by(3) {
        for (world, rank) in [(1, 0), (2, 1), (4, 2)] {
            let rest = StreamBatchesRequest {
                start: batch.next.clone(),
                shard: Some(Shard { world, rank }),
                ..asked.clone()
            };
            let rest = stream(&other, &rest).await.batches;
            assert_eq!(rest.len() + index + 1, whole.batches.len());
            for (part, whole) in rest.iter().zip(&whole.batches[index + 1..]) {
                let slots = (rank as usize..6).step_by(world as usize);
                let tensor: Vec<&[u8]> = slots.map(|slot| &whole.tensor[slot * bytes..][..bytes]).collect();
                assert!(
                    part.tensor == tensor.concat(),
                    "step {} from {index}, shard {rank} of {world}",
                    part.step
                );
            }
        }
    }
}

#[tokio::test]
async fn orders_and_first_uses_that_exclude_mixing_are_refused() {
    let images = pictures();
    let server = server(&images, 1);
    let mut repeats = request("mixup(from=natural)", 6);
    repeats.recipe.as_mut().unwrap().augment = Augment::Repeats.into();
    let natural = balance::Policy::Natural(balance::Natural {});
    let sequential = StreamBatchesRequest {
        balance: Some(Balance {
            policy: Some(natural),
        }),
        order: Order::Sequential.into(),
        ..request("mixup(from=natural)", 6)
    };
    for (asked, word) in [(repeats, "augment=repeats"), (sequential, "in order")] {
        let status = receive(&mut server.client().await, asked).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(
            status.message().contains("from=natural") && status.message().contains(word),
            "{status:?}"
        );
    }
    // Requests without it are as before.
    assert!(
        !receive(&mut server.client().await, small("train", 1))
            .await
            .unwrap()
            .batches
            .is_empty()
    );
}

#[test]
fn the_explanation_names_the_file_that_is_mixed_in() {
    let images = pictures();
    let explained = super::explained(&images, "cutmix(from=natural)", 6);
    for image in &explained {
        let mixture = &image["mixture"];
        assert!(mixture["partner"].is_null(), "{mixture}");
        let (path, class) = (
            mixture["path"].as_str().unwrap(),
            mixture["class"].as_str().unwrap(),
        );
        assert!(path.starts_with(class), "{mixture}");
    }
    let text = super::explanation(&images, "mixup(from=natural)");
    for word in ["mixed with", "sum of label weights", " of flowers, by "] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

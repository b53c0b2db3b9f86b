//! Which samples a client gets.

use std::collections::{BTreeMap, BTreeSet};

use equibatch_harness::{
    images::ImageFolder,
    receive::{Received, receive, small},
};
use equibatch_proto::v1::{Balance, Batch, Shard, StreamBatchesRequest, balance};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use equibatch_stream::DrawsChange;

/// 4 + 1, 16 + 4 and 8 + 2 images in train and valid.
fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20), ("trees", 10)])
}

async fn received(images: &ImageFolder, request: StreamBatchesRequest) -> Received {
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    receive(&mut server.client().await, request).await.unwrap()
}

fn counts(labels: &[u32], classes: usize) -> Vec<u64> {
    (0..classes as u32)
        .map(|class| labels.iter().filter(|label| **label == class).count() as u64)
        .collect()
}

#[tokio::test]
async fn every_batch_and_every_epoch_is_balanced_exactly() {
    let images = pictures();
    let Received { description, batches } = received(&images, small("train", 4)).await;
    assert_eq!(description.draws_per_class, [16, 16, 16]);
    let mut epochs: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for batch in &batches {
        assert_eq!(
            counts(&batch.labels, 3),
            [2, 2, 2],
            "epoch {}, step {}",
            batch.epoch,
            batch.step
        );
        epochs.entry(batch.epoch).or_default().extend(&batch.labels);
    }
    for (epoch, labels) in epochs {
        assert_eq!(counts(&labels, 3), description.draws_per_class, "epoch {epoch}");
    }
}

#[tokio::test]
async fn every_image_of_a_class_is_used_once_before_any_is_used_twice() {
    let images = pictures();
    let Received { batches, .. } = received(&images, small("train", 3)).await;
    for epoch in 0..3 {
        let mut uses: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
        let slots = batches
            .iter()
            .filter(|b| b.epoch == epoch)
            .flat_map(|b| b.labels.iter().zip(&b.sample_ids));
        for (class, sample) in slots {
            let uses = uses.entry(*class).or_default();
            let count = uses.entry(*sample).or_default();
            *count += 1;
            let this = *count;
            let of_class = [4, 16, 8][*class as usize];
            let least = if uses.len() < of_class {
                0
            } else {
                *uses.values().min().unwrap()
            };
            assert!(
                this <= least + 1,
                "epoch {epoch}: sample {sample} of class {class} {this} times, others {least}"
            );
        }
        let seen: Vec<usize> = uses.values().map(BTreeMap::len).collect();
        assert_eq!(seen, [4, 16, 8], "every image is seen in epoch {epoch}");
    }
}

#[tokio::test]
async fn validation_is_complete_in_order_unaugmented_and_apart_from_training() {
    let images = pictures();
    let valid = received(&images, small("valid", 1)).await;
    assert_eq!(valid.description.draws_per_class, [1, 4, 2]);
    assert_eq!(
        valid.description.recipe,
        Some(equibatch_proto::v1::Recipe::default())
    );
    let sizes: Vec<usize> = valid.batches.iter().map(|batch| batch.labels.len()).collect();
    assert_eq!(sizes, [6, 1], "the last batch is short");
    let ids: Vec<u32> = valid
        .batches
        .iter()
        .flat_map(|batch| batch.sample_ids.clone())
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let train = received(&images, small("train", 2)).await;
    let trained: BTreeSet<u32> = train
        .batches
        .iter()
        .flat_map(|batch| batch.sample_ids.clone())
        .collect();
    assert_eq!(trained.len() + ids.len(), 35, "together they are everything");
    assert!(ids.iter().all(|id| !trained.contains(id)));
    // Another seed and another epoch change nothing.
    let mut again = small("valid", 2);
    again.seed = 99;
    let again = received(&images, again).await;
    let tensors = |received: &Received| {
        received
            .batches
            .iter()
            .map(|b| b.tensor.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(tensors(&again), [tensors(&valid), tensors(&valid)].concat());
}

#[tokio::test]
async fn each_balance_policy_draws_its_counts() {
    use balance::Policy;
    let images = pictures();
    let weights = |pairs: &[(&str, f64)]| {
        let weights = pairs
            .iter()
            .map(|(name, weight)| ((*name).to_owned(), *weight))
            .collect();
        Policy::Weights(balance::Weights { weights })
    };
    for (policy, batch_size, expected) in [
        (Policy::Natural(balance::Natural {}), 4, [4, 16, 8]),
        (Policy::Undersample(balance::Undersample {}), 3, [4, 4, 4]),
        (Policy::Oversample(balance::Oversample {}), 3, [16, 16, 16]),
        (Policy::Power(balance::Power { exponent: 0.0 }), 4, [4, 16, 8]),
        (Policy::Power(balance::Power { exponent: 1.0 }), 3, [16, 16, 16]),
        (weights(&[("birds", 1.0), ("trees", 2.0)]), 3, [4, 0, 8]),
        // The median share is 8 of 28: sqrt(8 / 4) * 4 = 5.7.
        (
            Policy::RepeatFactor(balance::RepeatFactor { threshold: None }),
            10,
            [6, 16, 8],
        ),
    ] {
        let mut request = small("train", 1);
        request.batch_size = Some(batch_size);
        request.balance = Some(Balance {
            policy: Some(policy.clone()),
        });
        let Received { description, batches } = received(&images, request).await;
        let labels: Vec<u32> = batches.iter().flat_map(|batch| batch.labels.clone()).collect();
        assert_eq!(counts(&labels, 3), expected, "{policy:?}");
        assert_eq!(description.draws_per_class, expected, "{policy:?}");
    }
}

/// From natural to oversample, or as `at` says.
fn schedule(at: Option<f64>, epochs: Option<(u32, u32)>) -> Balance {
    use balance::Policy;
    let policy = |policy| Some(Box::new(Balance { policy: Some(policy) }));
    let schedule = balance::Schedule {
        from: policy(Policy::Natural(balance::Natural {})),
        to: policy(Policy::Oversample(balance::Oversample {})),
        at,
        epochs: epochs.map(|(first, end)| balance::EpochRange { first, end }),
    };
    Balance {
        policy: Some(Policy::Schedule(Box::new(schedule))),
    }
}

fn scheduled(at: Option<f64>, epochs: Option<(u32, u32)>, epochs_of_stream: u32) -> StreamBatchesRequest {
    StreamBatchesRequest {
        balance: Some(schedule(at, epochs)),
        images_per_epoch: Some(84),
        ..small("train", epochs_of_stream)
    }
}

fn epoch_counts(batches: &[Batch]) -> Vec<Vec<u64>> {
    let epochs = batches.chunk_by(|one, next| one.epoch == next.epoch);
    let labels = epochs.map(|epoch| {
        epoch
            .iter()
            .flat_map(|batch| batch.labels.clone())
            .collect::<Vec<_>>()
    });
    labels.map(|labels| counts(&labels, 3)).collect()
}

#[tokio::test]
async fn a_schedule_draws_the_counts_of_each_epoch() {
    let images = pictures();
    for (at, epochs, expected) in [
        // From 12, 48, 24 to 28, 28, 28, in thirds.
        (
            None,
            None,
            [[12, 48, 24], [17, 41, 26], [22, 35, 27], [28, 28, 28]],
        ),
        (
            None,
            Some((1, 3)),
            [[12, 48, 24], [12, 48, 24], [28, 28, 28], [28, 28, 28]],
        ),
        (
            Some(0.8),
            None,
            [[12, 48, 24], [12, 48, 24], [12, 48, 24], [28, 28, 28]],
        ),
        (
            Some(0.5),
            None,
            [[12, 48, 24], [12, 48, 24], [28, 28, 28], [28, 28, 28]],
        ),
    ] {
        let Received { description, batches } = received(&images, scheduled(at, epochs, 4)).await;
        assert_eq!(epoch_counts(&batches), expected, "{at:?} {epochs:?}");
        assert_eq!(
            (description.steps_per_epoch, description.images_per_epoch),
            (14, 84)
        );
        assert_eq!(description.draws_per_class, [12, 48, 24]);
        let change = description.draws_change.expect("a change");
        assert_eq!(change.draws_per_class, [28, 28, 28]);
        // What a client computes for an epoch.
        let change = DrawsChange {
            draws_per_class: change.draws_per_class,
            first_epoch: change.first_epoch,
            last_epoch: change.last_epoch,
        };
        for (epoch, expected) in expected.iter().enumerate() {
            let draws = change.draws_in_epoch(&description.draws_per_class, epoch as u64);
            assert_eq!(draws, expected, "epoch {epoch}, {at:?} {epochs:?}");
        }
    }
    let constant = received(&images, small("train", 2)).await;
    assert_eq!(constant.description.draws_change, None);
}

#[tokio::test]
async fn a_schedule_resumes_with_any_number_of_shards_and_in_a_longer_stream() {
    let images = pictures();
    let whole = received(&images, scheduled(None, None, 4)).await;
    let token = whole.batches[19].next.clone().unwrap();
    // The schedule is the same, so the stream may be longer.
    let mut resumed = scheduled(None, Some((0, 4)), 5);
    resumed.start = Some(token);
    let again = received(&images, resumed.clone()).await;
    assert_eq!(again.digests()[..36], whole.digests()[20..]);
    assert_eq!(epoch_counts(&again.batches).last().unwrap()[..], [28, 28, 28]);
    let mut shards = vec![];
    for rank in 0..3 {
        resumed.shard = Some(Shard { world: 3, rank });
        shards.push(received(&images, resumed.clone()).await.batches);
    }
    for (step, batch) in whole.batches[20..].iter().enumerate() {
        let of_shards = (0..6).map(|slot| shards[slot % 3][step].sample_ids[slot / 3]);
        assert_eq!(of_shards.collect::<Vec<_>>(), batch.sample_ids, "batch {step}");
    }
    // With other epochs it is another schedule.
    resumed.shard = None;
    resumed.balance = Some(schedule(None, None));
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    let status = receive(&mut server.client().await, resumed).await.unwrap_err();
    assert!(status.message().contains("start.spec_hash"), "{status:?}");
}

//! Expensive and invalid requests for batches.

use equibatch_proto::v1::{Balance, ElementType, Shard, StreamBatchesRequest, Stride, balance};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::receive::small;

/// A shard of one image of one pixel, of a global batch of 65,536 images.
#[must_use]
pub fn of_one_pixel(seed: u64) -> StreamBatchesRequest {
    StreamBatchesRequest {
        seed,
        batch_size: Some(65_536),
        shard: Some(Shard {
            world: 65_536,
            rank: 0,
        }),
        images_per_epoch: Some(1 << 30),
        image_size: Some(1),
        element_type: ElementType::U8.into(),
        ..small("train", 1000)
    }
}

/// An image size and class weights that differ for each number.
#[must_use]
pub fn of_other_size(number: u32, classes: &[String]) -> StreamBatchesRequest {
    let weights = classes.iter().zip(0..).map(|(class, index): (_, u32)| {
        let weight = 1.0 + f64::from((index * number) % 7);
        (class.clone(), weight)
    });
    let weights = balance::Weights {
        weights: weights.collect(),
    };
    StreamBatchesRequest {
        image_size: Some(32 + 2 * number),
        balance: Some(Balance {
            policy: Some(balance::Policy::Weights(weights)),
        }),
        ..small("train", 1000)
    }
}

/// An invalid request.
#[must_use]
pub fn invalid(dice: &mut ChaCha8Rng) -> StreamBatchesRequest {
    StreamBatchesRequest {
        dataset: ["", "pictures", "../etc", "\u{0}"][dice.random_range(0..4)].to_owned(),
        split: ["train", "valid", "all"][dice.random_range(0..3)].to_owned(),
        batch_size: Some(dice.random()),
        image_size: Some(dice.random_range(0..5000)),
        epochs: Some(dice.random()),
        images_per_epoch: Some(dice.random()),
        element_type: dice.random_range(-1..5),
        stride: Some(Stride {
            of: dice.random(),
            index: dice.random(),
        }),
        ..StreamBatchesRequest::default()
    }
}

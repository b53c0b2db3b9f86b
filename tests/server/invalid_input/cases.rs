//! Requests that are refused, and their errors.

use equibatch_proto::v1::{
    Balance, LastBatch, Normalization, PositionToken, Recipe, Shard, StreamBatchesRequest, Stride, balance,
};
use tonic::Code::{self, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted};

/// A change to a valid request, the status code, and words that the message must contain.
pub(super) type Case = (fn(&mut StreamBatchesRequest), Code, &'static [&'static str]);

#[allow(deprecated, reason = "the number fields of recipes are still read")]
pub(super) const CASES: &[Case] = &[
    (|r| r.dataset = "cats".into(), NotFound, &["cats", "pictures"]),
    (
        |r| r.split = "training".into(),
        InvalidArgument,
        &["split", "training", "train, valid or test"],
    ),
    (|r| r.split = "test".into(), NotFound, &["test", "no images"]),
    (|r| r.epochs = Some(0), InvalidArgument, &["epochs", "0", "1 to"]),
    (
        |r| r.epochs = Some(u32::MAX),
        InvalidArgument,
        &["epochs", "4294967295", "1000000", "--max-epochs"],
    ),
    (|r| r.batch_size = Some(0), InvalidArgument, &["batch_size", "0"]),
    (
        |r| r.batch_size = Some(u32::MAX),
        InvalidArgument,
        &["batch_size", "4294967295", "65536"],
    ),
    (|r| r.batch_size = Some(33), InvalidArgument, &["33", "32"]),
    (
        |r| r.image_size = Some(0),
        InvalidArgument,
        &["image_size", "0", "1 to 4096"],
    ),
    (
        |r| r.image_size = Some(u32::MAX),
        InvalidArgument,
        &["image_size", "4294967295"],
    ),
    (
        |r| (r.image_size, r.batch_size) = (Some(4096), Some(30)),
        ResourceExhausted,
        &["batch_size", "5.62 GiB", "1.00 GiB", "--max-batch-bytes"],
    ),
    (
        |r| r.shard = Some(Shard { world: 0, rank: 0 }),
        InvalidArgument,
        &["shard.world", "0"],
    ),
    (
        |r| r.shard = Some(Shard { world: 7, rank: 0 }),
        InvalidArgument,
        &["shard.world", "7", "1 to 6"],
    ),
    (
        |r| r.shard = Some(Shard { world: 2, rank: 2 }),
        InvalidArgument,
        &["shard.rank", "2", "0 to 1"],
    ),
    (
        |r| r.weight = Some(0),
        InvalidArgument,
        &["weight", "0", "1 to 1"],
    ),
    (
        |r| r.weight = Some(2),
        InvalidArgument,
        &["weight is 2", "1 to 1;", "weight= of its token in --tokens"],
    ),
    (
        |r| r.stride = Some(Stride { of: 0, index: 0 }),
        InvalidArgument,
        &["stride.of", "0", "1 to 4096"],
    ),
    (
        |r| r.stride = Some(Stride { of: 3, index: 3 }),
        InvalidArgument,
        &["stride.index", "3", "0 to 2"],
    ),
    (
        |r| r.balance = Some(Balance::default()),
        InvalidArgument,
        &["balance"],
    ),
    (
        |r| r.balance = policy(balance::Policy::Power(balance::Power { exponent: 1.5 })),
        InvalidArgument,
        &["power", "1.5"],
    ),
    (
        |r| r.balance = policy(balance::Policy::Power(balance::Power { exponent: f64::NAN })),
        InvalidArgument,
        &["power", "NaN"],
    ),
    (
        |r| r.balance = policy(balance::Policy::Effective(balance::Effective { beta: 1.0 })),
        InvalidArgument,
        &["beta", "1"],
    ),
    (
        |r| {
            let threshold = Some(0.0);
            r.balance = policy(balance::Policy::RepeatFactor(balance::RepeatFactor { threshold }));
        },
        InvalidArgument,
        &["repeat-factor", "0", "above 0 and at most 1"],
    ),
    (
        |r| r.balance = schedule(|_| {}),
        InvalidArgument,
        &["balance.schedule", "no from"],
    ),
    (
        |r| {
            r.balance = schedule(|s| {
                s.from = natural();
                s.to = schedule(|_| {}).map(Box::new);
            });
        },
        InvalidArgument,
        &["balance.schedule.to", "is a schedule"],
    ),
    (
        |r| {
            r.balance = schedule(|s| (s.from, s.to) = (natural(), natural()));
            r.epochs = None;
        },
        InvalidArgument,
        &["balance.schedule", "set epochs", "--epochs"],
    ),
    (
        |r| {
            r.balance = schedule(|s| (s.from, s.to) = (natural(), natural()));
            r.epochs = Some(1);
        },
        InvalidArgument,
        &["1 epoch", "at least 2", "--epochs"],
    ),
    (
        |r| {
            r.balance = schedule(|s| (s.from, s.to, s.at) = (natural(), natural(), Some(1.0)));
            r.epochs = Some(9);
        },
        InvalidArgument,
        &["schedule at 1", "above 0 and below 1"],
    ),
    (
        |r| r.balance = weights("cats", 1.0),
        InvalidArgument,
        &["balance.weights", "cats"],
    ),
    (
        |r| r.balance = weights("birds", -1.0),
        InvalidArgument,
        &["weight", "-1"],
    ),
    (
        |r| r.balance = weights("birds", 0.0),
        InvalidArgument,
        &["weight"],
    ),
    (|r| r.images_per_epoch = Some(0), InvalidArgument, &[]),
    (
        |r| r.images_per_epoch = Some(u64::MAX),
        InvalidArgument,
        &["images"],
    ),
    (
        |r| r.recipe = recipe(|r| r.max_rotate = 181.0),
        InvalidArgument,
        &["max_rotate", "181", "180"],
    ),
    (
        |r| r.recipe = recipe(|r| r.max_zoom = 0.5),
        InvalidArgument,
        &["max_zoom", "0.5"],
    ),
    (
        |r| r.recipe = recipe(|r| r.max_warp = f32::NAN),
        InvalidArgument,
        &["max_warp", "NaN"],
    ),
    (
        |r| r.recipe = recipe(|r| r.p_affine = -0.1),
        InvalidArgument,
        &["p_affine", "-0.1"],
    ),
    (
        |r| r.normalization = normalization(&[0.0; 2], &[1.0; 3]),
        InvalidArgument,
        &["normalization.mean", "2", "3"],
    ),
    (
        |r| r.normalization = normalization(&[0.0; 3], &[1.0, 0.0, 1.0]),
        InvalidArgument,
        &["normalization.std", "0"],
    ),
    (
        |r| r.normalization = normalization(&[f32::INFINITY; 3], &[1.0; 3]),
        InvalidArgument,
        &["normalization.mean", "inf"],
    ),
    (|r| r.element_type = 9, InvalidArgument, &["element_type", "9"]),
    (|r| r.layout = -1, InvalidArgument, &["layout", "-1"]),
    (|r| r.last_batch = 77, InvalidArgument, &["last_batch", "77"]),
    (|r| r.order = 3, InvalidArgument, &["order", "3"]),
    (|r| r.canonical = 3, InvalidArgument, &["canonical", "3"]),
    (|r| r.order = 2, InvalidArgument, &["balance must be natural"]),
    (wrapped_validation, InvalidArgument, &["last_batch", "valid"]),
    (
        |r| r.expected_fingerprint = vec![1; 31].into(),
        InvalidArgument,
        &["expected_fingerprint", "31", "32"],
    ),
    (
        |r| r.expected_fingerprint = vec![1; 32].into(),
        FailedPrecondition,
        &["expected_fingerprint", "0101"],
    ),
    (
        |r| r.start = token(|t| t.spec_hash = vec![1; 3].into()),
        InvalidArgument,
        &["start.spec_hash", "3", "16"],
    ),
    (
        |r| r.start = token(|t| t.spec_hash = vec![1; 16].into()),
        InvalidArgument,
        &["start.spec_hash"],
    ),
    (
        |r| r.start = token(|t| t.fingerprint = vec![1; 32].into()),
        FailedPrecondition,
        &["start.fingerprint"],
    ),
    (
        |r| r.start = token(|t| t.step = 5),
        InvalidArgument,
        &["step 5", "steps from 0 to 4"],
    ),
    (
        |r| r.start = token(|t| t.epoch = 3),
        InvalidArgument,
        &["epoch 3"],
    ),
];

fn policy(policy: balance::Policy) -> Option<Balance> {
    Some(Balance { policy: Some(policy) })
}

fn natural() -> Option<Box<Balance>> {
    policy(balance::Policy::Natural(balance::Natural {})).map(Box::new)
}

fn schedule(change: impl FnOnce(&mut balance::Schedule)) -> Option<Balance> {
    let mut schedule = balance::Schedule::default();
    change(&mut schedule);
    policy(balance::Policy::Schedule(Box::new(schedule)))
}

fn weights(class: &str, weight: f64) -> Option<Balance> {
    policy(balance::Policy::Weights(balance::Weights {
        weights: [(class.to_owned(), weight)].into(),
    }))
}

fn recipe(change: fn(&mut Recipe)) -> Option<Recipe> {
    let mut recipe = Recipe::default();
    change(&mut recipe);
    Some(recipe)
}

fn normalization(mean: &[f32], std: &[f32]) -> Option<Normalization> {
    Some(Normalization {
        mean: mean.to_vec(),
        std: std.to_vec(),
    })
}

fn token(change: fn(&mut PositionToken)) -> Option<PositionToken> {
    let mut token = PositionToken {
        seed: 7,
        world: 1,
        ..PositionToken::default()
    };
    change(&mut token);
    Some(token)
}

fn wrapped_validation(request: &mut StreamBatchesRequest) {
    request.split = "valid".into();
    request.set_last_batch(LastBatch::Wrap);
}

//! Requests with arbitrary numbers.

use equibatch_harness::receive::{next, open, receive, small};
use equibatch_proto::v1::{Balance, PositionToken, Recipe, Shard, StreamBatchesRequest, Stride, balance};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tonic::Code::{FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted};

use super::pictures;

/// Arbitrary numbers, and boundary values.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..70u64,
        Just(u64::from(u32::MAX)),
        Just(u64::MAX),
        Just(1 << 31),
        any::<u64>()
    ]
}

fn real() -> impl Strategy<Value = f32> {
    prop_oneof![
        0.0..1.0f32,
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(-0.0),
        any::<f32>()
    ]
}

fn any_balance() -> impl Strategy<Value = Option<Balance>> {
    let weight = (prop_oneof![Just("birds"), Just("flowers"), Just("")], real());
    let policy = prop_oneof![
        Just(None),
        Just(Some(balance::Policy::Natural(balance::Natural {}))),
        Just(Some(balance::Policy::Undersample(balance::Undersample {}))),
        real().prop_map(|x| Some(balance::Policy::Power(balance::Power { exponent: x.into() }))),
        real().prop_map(|x| Some(balance::Policy::Effective(balance::Effective { beta: x.into() }))),
        proptest::collection::vec(weight, 0..3).prop_map(|pairs| {
            let weights = pairs
                .into_iter()
                .map(|(class, weight)| (class.to_owned(), weight.into()))
                .collect();
            Some(balance::Policy::Weights(balance::Weights { weights }))
        }),
        proptest::option::of(real()).prop_map(|t| {
            let threshold = t.map(Into::into);
            Some(balance::Policy::RepeatFactor(balance::RepeatFactor { threshold }))
        }),
    ];
    let chosen = policy.prop_map(|policy| policy.map(|policy| Balance { policy: Some(policy) }));
    chosen.prop_recursive(2, 4, 2, |inner| {
        let epochs = proptest::option::of((any::<u32>(), any::<u32>()));
        (inner.clone(), inner, proptest::option::of(real()), epochs).prop_map(|(from, to, at, epochs)| {
            let schedule = balance::Schedule {
                from: from.map(Box::new),
                to: to.map(Box::new),
                at: at.map(Into::into),
                epochs: epochs.map(|(first, end)| balance::EpochRange { first, end }),
            };
            Some(Balance {
                policy: Some(balance::Policy::Schedule(Box::new(schedule))),
            })
        })
    })
}

#[allow(deprecated, reason = "the number fields of recipes are still read")]
fn any_recipe() -> impl Strategy<Value = Option<Recipe>> {
    let numbers = proptest::array::uniform6(real());
    proptest::option::of((numbers, any::<bool>()).prop_map(
        |([rotate, zoom, warp, lighting, affine, light], flag)| Recipe {
            flip: flag,
            max_rotate: rotate,
            max_zoom: zoom + 1.0,
            max_warp: warp,
            max_lighting: lighting,
            p_affine: affine,
            p_lighting: light,
            random_crop: flag,
            ..Recipe::default()
        },
    ))
}

fn any_request() -> impl Strategy<Value = StreamBatchesRequest> {
    let place = (number(), number(), proptest::option::of((number(), number())));
    let sizes = proptest::array::uniform4(proptest::option::of(number()));
    let choices = proptest::array::uniform5(-1..5i32);
    let split = prop_oneof![Just(""), Just("valid"), Just("test"), Just("nonsense")];
    (place, sizes, choices, split, any_balance(), any_recipe()).prop_map(
        |(place, sizes, choices, split, balance, recipe)| {
            let (epoch, step, shard) = place;
            let [epochs, batch_size, image_size, images_per_epoch] = sizes;
            let [element_type, layout, last_batch, order, canonical] = choices;
            let narrow = |number: u64| number as u32;
            let strided = shard.filter(|(world, _)| world % 2 == 0);
            StreamBatchesRequest {
                split: split.to_owned(),
                seed: epoch,
                epochs: epochs.map(narrow),
                start: (step % 3 == 0).then(|| PositionToken {
                    epoch,
                    step,
                    ..PositionToken::default()
                }),
                shard: shard.map(|(world, rank)| Shard {
                    world: narrow(world),
                    rank: narrow(rank),
                }),
                stride: strided.map(|(of, index)| Stride {
                    of: narrow(of),
                    index: narrow(index),
                }),
                batch_size: batch_size.map(narrow),
                image_size: image_size.map(narrow),
                balance,
                recipe,
                element_type,
                layout,
                last_batch,
                order,
                canonical,
                images_per_epoch,
                ..StreamBatchesRequest::default()
            }
        },
    )
}

#[test]
fn no_request_panics() {
    let images = pictures();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, client) = runtime.block_on(async {
        let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
        let client = server.client().await;
        (server, client)
    });
    let mut runner = TestRunner::new_with_rng(
        Config::with_cases(300),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(&any_request(), |request| {
        let first = runtime.block_on(async {
            let (_description, mut stream) = open(&mut client.clone(), request).await?;
            next(&mut stream).await
        });
        let accepted = [InvalidArgument, NotFound, ResourceExhausted, FailedPrecondition];
        let code = first.err().map(|status| status.code());
        prop_assert!(code.is_none_or(|code| accepted.contains(&code)), "{code:?}");
        Ok(())
    });
    outcome.unwrap();
    runtime
        .block_on(async { receive(&mut server.client().await, small("train", 1)).await })
        .unwrap();
}

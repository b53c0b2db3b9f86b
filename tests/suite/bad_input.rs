//! What the server refuses, and how it says so.

use std::{fs, net::TcpListener};

use equibatch_proto::v1::{
    Balance, DescribeDatasetRequest, LastBatch, Normalization, PositionToken, Recipe, Shard,
    StreamBatchesRequest, Stride, balance,
};
use equibatch_tests::{
    images::ImageFolder,
    memory::{MemoryServer, config, engine},
    process,
    receive::{next, open, receive, small},
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tonic::Code::{self, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted};

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20)])
}

/// A change to a good request, the code of its refusal, and the words that must be in its message.
type Case = (fn(&mut StreamBatchesRequest), Code, &'static [&'static str]);

const CASES: &[Case] = &[
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
        &["epochs", "4294967295", "1000000"],
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
        &["batch_size", "1073741824"],
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
        &["weight", "0", "1 to 100"],
    ),
    (
        |r| r.weight = Some(101),
        InvalidArgument,
        &["weight", "101", "1 to 100"],
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
    (|r| r.order = 2, InvalidArgument, &["sequential"]),
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
        &["step 5", "5 steps"],
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

#[tokio::test]
async fn a_bad_request_is_refused_by_field_value_and_range() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let mut client = server.client().await;
    for (index, (change, code, words)) in CASES.iter().enumerate() {
        let mut request = small("train", 2);
        change(&mut request);
        let status = receive(&mut client, request).await.unwrap_err();
        assert_eq!(status.code(), *code, "case {index}: {status}");
        for word in *words {
            assert!(
                status.message().contains(word),
                "case {index}: {word:?} is not in {:?}",
                status.message()
            );
        }
    }
    assert_eq!(server.engine.open_streams(), 0);
    receive(&mut client, small("train", 1)).await.unwrap();
}

#[tokio::test]
async fn a_token_of_another_seed_is_refused_by_name() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let mut client = server.client().await;
    let first = receive(&mut client, small("train", 1)).await.unwrap();
    let mut request = small("train", 1);
    (request.seed, request.start) = (8, first.batches[0].next.clone());
    let status = receive(&mut client, request).await.unwrap_err();
    assert_eq!(status.code(), InvalidArgument);
    assert!(status.message().contains("start.seed is 7"), "{status}");
    // The last token is the end: nothing is left, and that is no error.
    let mut request = small("train", 1);
    request.start = first.batches.last().unwrap().next.clone();
    assert!(receive(&mut client, request).await.unwrap().batches.is_empty());
}

#[tokio::test]
async fn a_description_of_nothing_is_refused() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
    let mut client = server.client().await;
    let request = DescribeDatasetRequest {
        dataset: "cats".into(),
        ..DescribeDatasetRequest::default()
    };
    assert_eq!(
        client.describe_dataset(request).await.unwrap_err().code(),
        NotFound
    );
    let request = DescribeDatasetRequest {
        effective_number_beta: Some(1.0),
        ..DescribeDatasetRequest::default()
    };
    let status = client.describe_dataset(request).await.unwrap_err();
    assert_eq!(status.code(), InvalidArgument);
    assert!(status.message().contains("effective_number_beta"), "{status}");
    for sample_ids in [vec![30], vec![u32::MAX], vec![0; 4097]] {
        let request = DescribeDatasetRequest {
            sample_ids,
            ..DescribeDatasetRequest::default()
        };
        let status = client.describe_dataset(request).await.unwrap_err();
        assert_eq!(status.code(), InvalidArgument);
        assert!(status.message().contains("sample_ids"), "{status}");
    }
}

/// Numbers as they come, and those at which things break.
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
    let chosen = prop_oneof![
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
    ];
    chosen.prop_map(|policy| policy.map(|policy| Balance { policy: Some(policy) }))
}

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

#[test]
fn a_bad_command_line_ends_with_one_sentence_and_a_code() {
    let images = pictures();
    let good = images.root().to_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    let (missing, empty, one, file) = (path("missing"), path("empty"), path("one"), path("file"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir_all(format!("{one}/birds")).unwrap();
    fs::copy(images.file("birds", 0), format!("{one}/birds/0.jpg")).unwrap();
    fs::write(&file, b"").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let full = path("");
    for (arguments, code, words) in [
        (&["serve", "--data", &missing][..], 66, "no such folder"),
        (&["serve", "--data", &empty], 66, "no usable image"),
        (&["serve", "--data", &one], 66, "one class only"),
        (&["serve", "--data", &file], 66, "not a folder"),
        (&["serve", "--data", good, "--listen", &taken], 74, &taken),
        (
            &["serve", "--data", good, "--listen", "no.such.host.invalid:1"],
            74,
            "no.such.host.invalid",
        ),
        (&["serve", "--data", good, "--listen", "here"], 64, "--listen"),
        (
            &["serve", "--data", good, "--cache-bytes", "much"],
            64,
            "--cache-bytes",
        ),
        (&["serve", "--data", good, "--log", "a=b=c"], 64, "--log"),
        (&["serve", "--data", good, "--otlp", "no address"], 64, "--otlp"),
        (&["serve", "--data", good, "--data", good], 64, "--data"),
        (&["serve"], 64, "--data"),
        (&["sample-data", &full], 64, "not empty"),
        (
            &["sample-data", &missing, "--classes", "a,b", "--counts", "1"],
            64,
            "--counts",
        ),
    ] {
        let listens = arguments.contains(&"--listen") || arguments[0] != "serve";
        let chosen: &[&str] = if listens {
            &[]
        } else {
            &["--listen", "127.0.0.1:0"]
        };
        let output = process::server(&[arguments, chosen].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(
            said.contains(words),
            "{arguments:?}: {words:?} is not in {said:?}"
        );
        if code != 64 {
            assert_eq!(said.trim().lines().count(), 1, "{arguments:?}: {said}");
        }
    }
}

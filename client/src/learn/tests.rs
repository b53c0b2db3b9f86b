//! Training on ONNX Runtime, without a server.

mod accumulation;
mod epochs;
mod half;
mod head;
mod losses;
mod resuming;
mod staging;

use std::num::NonZeroUsize;

use bytes::Bytes;
use equibatch_engine::random::{Purpose, generator};
use rand::Rng as _;

use super::{
    card::ModelCard,
    checkpoint::Checkpoint,
    init::InitFrom,
    learner::{Error, Learner},
    metrics::argmax,
    optimizer::{OptimizerConfig, OptimizerName, ScheduleName},
    prior::ClassShares,
    run::{Frozen, RunConfig, sample as config},
    scheduled_draws::ScheduledDraws,
};
use equibatch_stream::{Batch, DrawsChange, Position};
use equibatch_training::runtime::{Runtime, SessionOptions};

const IMAGES: u32 = 16;
const SIZE: u32 = 32;

fn small(epochs: u32) -> RunConfig {
    let arch = "resnet18@8".to_owned();
    RunConfig {
        arch,
        epochs,
        steps_per_epoch: 1,
        batch_size: IMAGES,
        image_size: SIZE,
        max_lr: "3e-3".to_owned(),
        ..config()
    }
}

/// Noise images with labels that can only be memorised.
fn batch(step: u64) -> Batch {
    let mut random = generator(5, Purpose::DRAWING, &[]);
    let pixels = (IMAGES * 3 * SIZE * SIZE) as usize;
    let noise =
        (0..pixels).flat_map(|_| (random.next_u32() as f32 / u32::MAX as f32 * 4.0 - 2.0).to_le_bytes());
    Batch {
        epoch: step,
        step: 0,
        next: Position {
            epoch: step + 1,
            ..Position::default()
        },
        labels: (0..IMAGES).map(|image| (image / 3) % 2).collect(),
        samples: (0..IMAGES).collect(),
        mixed: None,
        replacements: vec![],
        tensor: Bytes::from_iter(noise),
    }
}

/// One thread: tests run in parallel.
fn options() -> SessionOptions {
    SessionOptions {
        intra_threads: NonZeroUsize::new(1),
        ..SessionOptions::default()
    }
}

fn runtime() -> Runtime {
    Runtime::load().expect("ONNX Runtime is installed: `make runtime`")
}

/// A small network whose head has neither dropout nor batch norm.
fn plain(steps: u32) -> RunConfig {
    RunConfig {
        head: "plain".to_owned(),
        ..small(steps)
    }
}

#[test]
fn sixteen_images_are_memorised() {
    let runtime = runtime();
    let steps = 25;
    let mut learner = Learner::new(&runtime, &small(steps), &options()).expect("a learner");
    let losses: Vec<f64> = (0..u64::from(steps))
        .map(|step| learner.step(&batch(step)).expect("a step").loss)
        .collect();
    assert!(losses[losses.len() - 1] < losses[0] / 4.0, "{losses:?}");
    let model = learner.model().expect("a model");
    let mut classifier = learner.classifier(&model).expect("a classifier");
    let batch = batch(0);
    let logits = classifier
        .logits(&batch.tensor, IMAGES as usize, SIZE as usize)
        .expect("logits");
    let wrong = logits
        .chunks(2)
        .zip(&batch.labels)
        .filter(|(row, label)| argmax(row) != **label as usize)
        .count();
    assert_eq!(wrong, 0, "{logits:?}");
    let card = ModelCard::read("the model", &classifier).expect("metadata");
    assert_eq!(
        (card.classes.as_slice(), card.preprocessing.image_size),
        (config().classes.as_slice(), SIZE)
    );
}

/// A step of SGD is `p − lr (g + wd p)`, so the decay is what two runs with and without it differ by.
#[test]
fn norms_and_biases_may_have_a_weight_decay_of_their_own() {
    let runtime = runtime();
    let rate = 0.125_f32;
    let after = |weight_decay: f32, norms: Option<f32>, biases: Option<f32>| {
        let mut config = RunConfig {
            weight_decay,
            max_lr: rate.to_string(),
            ..small(1)
        };
        config.optimizer = OptimizerConfig {
            name: OptimizerName::Sgd,
            schedule: ScheduleName::Constant,
            norm_weight_decay: norms,
            bias_weight_decay: biases,
            ..OptimizerConfig::default()
        };
        let mut learner = Learner::new(&runtime, &config, &options()).expect("a learner");
        let before = learner.checkpoint().expect("a checkpoint").tensors;
        learner.step(&batch(0)).expect("a step");
        (before, learner.checkpoint().expect("a checkpoint").tensors)
    };
    let (before, plain) = after(0.0, None, None);
    let (_, decayed) = after(0.5, Some(0.25), Some(0.0));
    for (name, decay) in [
        ("layer1.0.conv1.weight", 0.5),
        ("head.4.weight", 0.5),
        ("bn1.weight", 0.25),
        ("head.2.weight", 0.25),
        ("bn1.bias", 0.0),
        ("head.8.bias", 0.0),
    ] {
        let numbers = before[name].data.iter().zip(&plain[name].data);
        for ((before, plain), decayed) in numbers.zip(&decayed[name].data) {
            let expected = plain - rate * decay * before;
            assert!((decayed - expected).abs() < 1e-6, "{name}: {decayed}, {expected}");
        }
    }
    assert!(plain.contains_key("momentum_buffer.bn1.weight"));
}

#[test]
fn an_invalid_architecture_or_learning_rate_is_named_in_the_error() {
    let runtime = runtime();
    let refusal = |config: RunConfig| {
        Learner::new(&runtime, &config, &options())
            .expect_err("refused")
            .to_string()
    };
    assert!(
        refusal(RunConfig {
            arch: "resnet35".to_owned(),
            ..small(1)
        })
        .contains("resnet35")
    );
    assert!(
        refusal(RunConfig {
            arch: "resnet18@0".to_owned(),
            ..small(1)
        })
        .contains("1 to 1024")
    );
    assert!(
        refusal(RunConfig {
            max_lr: "fast".to_owned(),
            ..small(1)
        })
        .contains("fast")
    );
}

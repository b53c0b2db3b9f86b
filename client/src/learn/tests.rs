//! Training on ONNX Runtime, without a server.

mod epochs;
mod half;
mod head;
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

#[test]
fn a_resumed_run_equals_an_uninterrupted_run_bit_for_bit() {
    let runtime = runtime();
    let options = options();
    let mut whole = Learner::new(&runtime, &small(4), &options).expect("a learner");
    for step in 0..4 {
        whole.step(&batch(step)).expect("a step");
    }
    let mut first = Learner::new(&runtime, &small(4), &options).expect("a learner");
    for step in 0..2 {
        first.step(&batch(step)).expect("a step");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("checkpoint.safetensors");
    std::fs::write(&path, first.checkpoint().expect("a checkpoint").to_bytes()).expect("written");
    drop(first);
    let checkpoint = Checkpoint::load(&path).expect("readable");
    let mut second = Learner::resume(&runtime, checkpoint, &options).expect("a learner");
    for step in 2..4 {
        second.step(&batch(step)).expect("a step");
    }
    let (whole, second) = (
        whole.checkpoint().expect("a checkpoint"),
        second.checkpoint().expect("a checkpoint"),
    );
    assert_eq!(whole.progress, second.progress);
    let differing = whole
        .tensors
        .iter()
        .filter(|(name, tensor)| second.tensors[*name] != **tensor)
        .map(|(name, _)| name);
    assert_eq!(differing.collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(whole.to_bytes() == second.to_bytes(), "the files differ");
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

/// A step of a scheduled stream has the loss of a stream that has the shares of this epoch in all of them: natural in the first of three, balanced
/// in the last.
#[test]
fn an_adjusted_loss_is_of_the_shares_of_its_epoch() {
    let runtime = runtime();
    let loss = |draws: [f64; 2], change: Option<DrawsChange>, focal: f32, epoch: u64| {
        let mut config = small(3);
        config.loss.focal = focal;
        config.loss.logit_adjust = 1.0;
        config.class_shares = ClassShares::of(vec![3, 9], &draws, &[], 1.0);
        config.loss.draws = change.map(|change| ScheduledDraws {
            draws_per_class: vec![3, 9],
            change,
            background: None,
        });
        let mut learner = Learner::new(&runtime, &config, &options()).expect("a learner");
        learner.step(&batch(epoch)).expect("a step").loss
    };
    let change = DrawsChange {
        draws_per_class: vec![6, 6],
        first_epoch: 0,
        last_epoch: 2,
    };
    for focal in [0.0, 2.0] {
        let found = [0, 1, 2].map(|epoch| loss([6.0, 6.0], Some(change.clone()), focal, epoch));
        let expected = [([3.0, 9.0], 0), ([4.0, 8.0], 1), ([6.0, 6.0], 2)]
            .map(|(draws, epoch)| loss(draws, None, focal, epoch));
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert!((found[0] - found[2]).abs() > 1e-3, "{found:?}");
    }
}

/// A cosine head with margins and deferred weights: its logits are at most its scale, and margins make the loss larger.
#[test]
fn a_cosine_head_is_trained_with_margins_and_deferred_weights() {
    let runtime = runtime();
    let of = |ldam: f32| {
        let mut config = RunConfig {
            head: "cosine:8".to_owned(),
            ..small(3)
        };
        config.loss.ldam = ldam;
        config.loss.resolve(&[4, 12], 8.0);
        config.loss.weights = vec![1.5, 0.5];
        config.loss.weights_from = 2;
        Learner::new(&runtime, &config, &options()).expect("a learner")
    };
    let [mut plain, mut learner] = [0.0, 0.5].map(of);
    let without = plain.step(&batch(0)).expect("a step").loss;
    let with: Vec<f64> = (0..3)
        .map(|step| learner.step(&batch(step)).expect("a step").loss)
        .collect();
    assert!(with[0] > without + 1.0, "{with:?} {without}");
    let checkpoint = learner.checkpoint().expect("a checkpoint");
    assert!(!checkpoint.tensors.contains_key("fc.bias"));
    let model = learner.model().expect("a model");
    let mut classifier = learner.classifier(&model).expect("a classifier");
    let logits = classifier
        .logits(&batch(0).tensor, IMAGES as usize, SIZE as usize)
        .expect("logits");
    assert!(logits.iter().all(|logit| logit.abs() <= 8.001), "{logits:?}");
}

#[test]
fn a_stage_continues_with_the_weights_and_the_optimizer_of_the_previous_stage() {
    let runtime = runtime();
    let frozen = RunConfig {
        frozen: Frozen::Body(true),
        ..small(2)
    };
    let mut first = Learner::new(&runtime, &frozen, &options()).expect("a learner");
    for step in 0..2 {
        first.step(&batch(step)).expect("a step");
    }
    let ended = first.checkpoint().expect("a checkpoint");
    let next = |config: RunConfig| {
        let begun = InitFrom::Checkpoint(Box::new(ended.clone()))
            .init(config)
            .expect("the same network");
        Learner::from_initial(&runtime, begun, &options()).expect("a learner")
    };
    let frozen_again = next(frozen.clone()).checkpoint().expect("a checkpoint");
    assert!(frozen_again.tensors == ended.tensors, "weights and moments");
    assert_eq!(frozen_again.progress.config.lineage.optimizer_steps, 2);

    let unfrozen = next(RunConfig {
        frozen: Frozen::Body(false),
        ..frozen
    });
    let unfrozen = unfrozen.checkpoint().expect("a checkpoint");
    let (moments, kept): (Vec<_>, Vec<_>) = unfrozen
        .tensors
        .iter()
        .partition(|(name, _)| name.contains("_moment."));
    assert!(
        moments
            .iter()
            .all(|(_, tensor)| tensor.data.iter().all(|&number| number == 0.0))
    );
    assert!(kept.iter().all(|(name, tensor)| ended.tensors[*name] == **tensor));
    // All parameters have moments, including convolutions.
    assert!(unfrozen.tensors.contains_key("first_moment.conv1.weight"));
}

#[test]
fn resuming_from_a_checkpoint_of_another_network_names_the_tensor() {
    let runtime = runtime();
    let learner = Learner::new(&runtime, &small(1), &options()).expect("a learner");
    let mut checkpoint = learner.checkpoint().expect("a checkpoint");
    checkpoint.progress.config.classes.push("cat".to_owned());
    let message = Learner::resume(&runtime, checkpoint, &options())
        .expect_err("another head")
        .to_string();
    assert!(message.contains("`") && message.contains("shape"), "{message}");
}

#[test]
fn a_loss_that_is_not_finite_stops_training() {
    let runtime = runtime();
    let mut learner = Learner::new(&runtime, &small(1), &options()).expect("a learner");
    let broken = Batch {
        tensor: Bytes::from(vec![0xff; (IMAGES * 3 * SIZE * SIZE * 4) as usize]),
        ..batch(0)
    };
    let error = learner.step(&broken).expect_err("not a number");
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("epoch 1 step 1") && text.contains("batch of seed 0 epoch 0 step 0"),
        "{text}"
    );
}

/// The loss and possibly the gradients are finite; the squared gradient norm overflows.
#[test]
fn a_step_whose_gradients_overflow_changes_nothing_and_ends_training() {
    let runtime = runtime();
    let in_parts = RunConfig {
        batch_size: IMAGES / 2,
        accumulate: 2,
        ema: Some(0.9),
        ..plain(3)
    };
    for config in [plain(3), in_parts] {
        let mut learner = Learner::new(&runtime, &config, &options()).expect("a learner");
        learner.step(&batch(0)).expect("a step");
        let good = learner.checkpoint().expect("a checkpoint");
        let mut steep = good.clone();
        let last = steep.tensors.get_mut("fc.weight").expect("the last layer");
        last.data.iter_mut().for_each(|weight| *weight *= 1e30);
        learner.restore(steep.clone()).expect("the same network");
        let error = learner.step(&batch(1)).expect_err("the gradients overflow");
        let Error::Diverged { what, loss, .. } = error else {
            panic!("{error}");
        };
        assert!(what == "a gradient" && loss.is_finite(), "{what} {loss}");
        let after = learner.checkpoint().expect("a checkpoint");
        assert_eq!(after.progress, steep.progress);
        assert_eq!(half::bits(&after), half::bits(&steep));
        let found = learner.probe((&batch(1), None), 1e-3, 0).expect("a step");
        assert!(found.is_nan(), "the learning-rate finder must stop here: {found}");
        learner.restore(good).expect("the same network");
        learner.step(&batch(1)).expect("a step");
    }
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

/// A small network whose head has neither dropout nor batch norm.
fn plain(steps: u32) -> RunConfig {
    RunConfig {
        head: "plain".to_owned(),
        ..small(steps)
    }
}

/// A batch whose second half repeats the first.
fn doubled(step: u64) -> Batch {
    let batch = batch(step);
    let half = batch.tensor.len() / 2;
    let images = IMAGES as usize / 2;
    Batch {
        labels: batch.labels[..images].repeat(2),
        tensor: batch.tensor[..half].repeat(2).into(),
        ..batch
    }
}

fn largest_difference(left: &Checkpoint, right: &Checkpoint, is_compared: impl Fn(&str) -> bool) -> f32 {
    let pairs = left.tensors.iter().filter(|(name, _)| is_compared(name));
    let differences = pairs.flat_map(|(name, tensor)| {
        let pairs = tensor.data.iter().zip(&right.tensors[name].data);
        pairs.map(|(left, right)| (left - right).abs())
    });
    differences.fold(0.0, f32::max)
}

/// With identical halves, batch norm statistics are equal, and only rounding differs.
#[test]
fn gradient_accumulation_equals_one_large_batch() {
    let runtime = runtime();
    let at_once = RunConfig {
        clip_norm: Some(0.5),
        ..plain(2)
    };
    let in_parts = RunConfig {
        batch_size: IMAGES / 2,
        accumulate: 2,
        ..at_once.clone()
    };
    assert_eq!(at_once.images_per_step(), in_parts.images_per_step());
    let ended = [at_once, in_parts].map(|config| {
        let mut learner = Learner::new(&runtime, &config, &options()).expect("a learner");
        let reports = [0, 1].map(|step| learner.step(&doubled(step)).expect("a step"));
        (learner.checkpoint().expect("a checkpoint"), reports)
    });
    let [(whole, whole_reports), (parts, parts_reports)] = ended;
    assert_eq!(
        whole.tensors.keys().collect::<Vec<_>>(),
        parts.tensors.keys().collect::<Vec<_>>()
    );
    // The first moment after one step is proportional to the gradient; parameters move by the learning rate, 1e-4 to 3e-3, in its sign.
    let off = largest_difference(&whole, &parts, |name| name.starts_with("first_moment."));
    assert!(off < 1e-4, "moments are off by {off}");
    for (whole, parts) in whole_reports.iter().zip(parts_reports) {
        assert!((whole.loss - parts.loss).abs() < 1e-4, "{whole:?} and {parts:?}");
        let norms =
            [whole.gradient_norm, parts.gradient_norm].map(|norm| norm.expect("gradients are clipped"));
        assert!((norms[0] / norms[1] - 1.0).abs() < 1e-3, "{norms:?}");
    }
}

#[test]
fn the_averaged_model_is_exported_and_training_continues_from_the_weights() {
    let runtime = runtime();
    let averaged = RunConfig {
        ema: Some(0.5),
        ..plain(4)
    };
    let mut learner = Learner::new(&runtime, &averaged, &options()).expect("a learner");
    let mut without = Learner::new(&runtime, &plain(4), &options()).expect("a learner");
    let name = "layer1.0.conv1.weight";
    let weights = |learner: &Learner| {
        learner.checkpoint().expect("a checkpoint").tensors[name]
            .data
            .clone()
    };
    let mut expected: Vec<f64> = weights(&learner).into_iter().map(f64::from).collect();
    for step in 0..4 {
        learner.step(&batch(step)).expect("a step");
        without.step(&batch(step)).expect("a step");
        assert_eq!(weights(&learner), weights(&without), "averaging changes no step");
        let decay = ((1.0 + step as f64) / (10.0 + step as f64)).min(0.5);
        for (average, weight) in expected.iter_mut().zip(weights(&learner)) {
            *average = decay * *average + (1.0 - decay) * f64::from(weight);
        }
    }
    let found = &learner.checkpoint().expect("a checkpoint").tensors[&format!("average.{name}")].data;
    let off = found
        .iter()
        .zip(&expected)
        .map(|(found, expected)| (f64::from(*found) - expected).abs());
    assert!(off.fold(0.0, f64::max) < 1e-6);

    let logits = |learner: &Learner| {
        let model = learner.model().expect("a model");
        let mut classifier = learner.classifier(&model).expect("a classifier");
        let size = SIZE as usize;
        classifier
            .logits(&batch(0).tensor, IMAGES as usize, size)
            .expect("logits")
    };
    assert_ne!(
        logits(&learner),
        logits(&without),
        "the averaged model is exported"
    );
    // The average as weights gives the same model.
    let mut checkpoint = without.checkpoint().expect("a checkpoint");
    for (name, tensor) in learner.checkpoint().expect("a checkpoint").tensors {
        if let Some(of) = name.strip_prefix("average.") {
            checkpoint.tensors.insert(of.to_owned(), tensor);
        }
    }
    without.restore(checkpoint).expect("the same network");
    assert_eq!(logits(&learner), logits(&without));
}

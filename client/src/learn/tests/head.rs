//! A head trained on features of its body, and running statistics that are estimated again.

use equibatch_training::program::Tensor;

use super::{IMAGES, batch, options, plain, runtime, small};
use crate::learn::{
    checkpoint::Checkpoint,
    learner::{FeatureBatch, Learner},
    run::{All, Frozen, RunConfig},
};

fn frozen(config: RunConfig) -> RunConfig {
    RunConfig {
        frozen: Frozen::All(All::All),
        ..config
    }
}

/// Largest difference of a tensor's elements.
fn difference(one: &Tensor, other: &Tensor) -> f32 {
    assert_eq!(one.shape, other.shape);
    let pairs = one.data.iter().zip(&other.data);
    pairs.fold(0.0, |largest, (one, other)| largest.max((one - other).abs()))
}

fn moved(before: &Checkpoint, after: &Checkpoint) -> Vec<String> {
    let names = before.tensors.keys();
    let moved = names.filter(|name| difference(&before.tensors[*name], &after.tensors[*name]) > 0.0);
    moved.cloned().collect()
}

/// Both heads: of one layer, and of several with batch norms and dropout.
#[test]
fn steps_on_features_are_those_on_images() {
    const STEPS: u64 = 3;
    let runtime = runtime();
    for config in [plain(3), small(3)] {
        let config = RunConfig {
            ema: Some(0.5),
            ..frozen(config)
        };
        let mut learner = Learner::new(&runtime, &config, &options()).expect("a learner");
        let before = learner.checkpoint().expect("a checkpoint");
        let mut body = learner.body().expect("a body");
        let mut head = learner.head(STEPS).expect("a head");
        for step in 0..STEPS {
            let batch = batch(step);
            let features = body.run(&batch.tensor, IMAGES as usize).expect("features");
            let features = FeatureBatch {
                features: features[0]
                    .iter()
                    .flat_map(|number| number.to_le_bytes())
                    .collect(),
                epoch: batch.epoch,
                labels: batch.labels.clone(),
                mixed: None,
            };
            let of_head = head.step(&features, step).expect("a step");
            let whole = learner.step(&batch).expect("a step");
            assert!(
                (of_head.loss - whole.loss).abs() < 1e-5,
                "{} {}",
                of_head.loss,
                whole.loss
            );
            assert_eq!(of_head.rates, whole.rates);
        }
        let whole = learner.checkpoint().expect("a checkpoint");
        let mut other = Learner::new(&runtime, &config, &options()).expect("a learner");
        other
            .put_head(head.state().expect("a state"), whole.progress.clone())
            .expect("the same network");
        let found = other.checkpoint().expect("a checkpoint");
        for (name, tensor) in &whole.tensors {
            let off = difference(tensor, &found.tensors[name]);
            assert!(off < 2e-4, "{}: {name} differs by {off}", config.head);
        }
        let moved = moved(&before, &found);
        assert!(!moved.is_empty());
        let of_head = |name: &String| name.contains("fc.") || name.contains("head.");
        assert!(moved.iter().all(of_head), "{moved:?}");
    }
}

/// A training step moves each running statistic by a tenth towards that of its batch.
#[test]
fn estimated_statistics_are_those_that_training_moves_towards() {
    let runtime = runtime();
    let mut learner = Learner::new(&runtime, &plain(3), &options()).expect("a learner");
    let before = learner.checkpoint().expect("a checkpoint");
    let mut estimator = learner.norm_estimator().expect("a program").expect("batch norms");
    for _ in 0..2 {
        estimator.add(&batch(0).tensor, IMAGES as usize).expect("a batch");
    }
    learner.probe((&batch(0), None), 0.0, 0).expect("a step");
    let towards = learner.checkpoint().expect("a checkpoint");
    learner.put_norms(&estimator).expect("the same network");
    let after = learner.checkpoint().expect("a checkpoint");
    let mut statistics = 0;
    for (name, start) in &before.tensors {
        if !name.contains("running_") {
            assert_eq!(after.tensors[name], towards.tensors[name], "{name}");
            continue;
        }
        statistics += 1;
        let batch = start.data.iter().zip(&towards.tensors[name].data);
        let expected = Tensor {
            shape: start.shape.clone(),
            data: batch.map(|(start, next)| (next - 0.9 * start) / 0.1).collect(),
        };
        let found = &after.tensors[name];
        let off = difference(&expected, found);
        assert!(
            off < 1e-4
                * found
                    .data
                    .iter()
                    .fold(1.0, |most: f32, value| most.max(value.abs())),
            "{name}: {off}"
        );
    }
    assert_eq!(statistics, 40);
}

#[test]
fn fixed_norms_are_not_estimated() {
    let runtime = runtime();
    let learner = Learner::new(&runtime, &frozen(plain(3)), &options()).expect("a learner");
    assert!(learner.norm_estimator().expect("a program").is_none());
    // The head of several layers has batch norms of its own.
    let learner = Learner::new(&runtime, &frozen(small(3)), &options()).expect("a learner");
    assert!(learner.norm_estimator().expect("a program").is_some());
}

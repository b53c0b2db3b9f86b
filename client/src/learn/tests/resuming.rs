//! Runs that go on from a checkpoint.

use super::*;
use crate::{learn::checkpoint::CHECKPOINT, weights::is_moment};

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
fn a_checkpoint_before_the_first_step_is_resumed_with_moments_of_zero() {
    for optimizer in [OptimizerName::AdamW, OptimizerName::Sgd] {
        let config = RunConfig {
            optimizer: OptimizerConfig {
                name: optimizer,
                ..OptimizerConfig::default()
            },
            ema: Some(0.5),
            ..small(1)
        };
        let learner = Learner::new(&runtime(), &config, &options()).expect("a learner");
        let first = learner.checkpoint().expect("a checkpoint");
        assert!(first.tensors.keys().any(|name| is_moment(name)));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(CHECKPOINT);
        std::fs::write(&path, first.to_bytes()).expect("written");
        let saved = Checkpoint::load(&path).expect("a checkpoint");
        assert!(!saved.tensors.keys().any(|name| is_moment(name)));
        let resumed = Learner::resume(&runtime(), saved, &options()).expect("a learner");
        assert!(resumed.checkpoint().expect("a checkpoint") == first);

        // After a step they are written.
        let mut learner = resumed;
        learner.step(&batch(0)).expect("a step");
        let second = learner.checkpoint().expect("a checkpoint");
        std::fs::write(&path, second.to_bytes()).expect("written");
        assert!(Checkpoint::load(&path).expect("a checkpoint") == second);
    }
}

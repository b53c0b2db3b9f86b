//! Half precision on ONNX Runtime's CPU provider, which computes in single precision between roundings. The client does not offer this; the
//! graph is the same as on a GPU.

use std::time::Duration;

use super::*;
use crate::learn::{
    fit::{Observer as _, StepEvent},
    learner::StepReport,
    report::run::{RunRecord, page},
    run::RunFolder,
    run_log::StepLog,
    tensorboard::TensorBoard,
};
use equibatch_training::program::Precision;

fn half(epochs: u32) -> RunConfig {
    RunConfig {
        arch: "resnet18@2".to_owned(),
        precision: Precision::F16,
        clip_norm: Some(1.0),
        ema: Some(0.9),
        ..small(epochs)
    }
}

/// With gradient accumulation, which uses two programs.
fn in_parts(epochs: u32) -> RunConfig {
    RunConfig {
        batch_size: IMAGES / 2,
        accumulate: 2,
        ..half(epochs)
    }
}

/// Images that overflow in any precision.
fn huge(step: u64) -> Batch {
    let pixels = (IMAGES * 3 * SIZE * SIZE) as usize;
    Batch {
        tensor: Bytes::from_iter((0..pixels).flat_map(|_| 1e38_f32.to_le_bytes())),
        ..batch(step)
    }
}

#[test]
fn half_precision_trains_like_single_precision() {
    let runtime = runtime();
    let steps = 25;
    let of = |precision| {
        let config = RunConfig {
            precision,
            ..small(steps)
        };
        let mut learner = Learner::new(&runtime, &config, &options()).expect("a learner");
        let step = |step| learner.step(&batch(step)).expect("a step").loss;
        (0..u64::from(steps)).map(step).collect::<Vec<f64>>()
    };
    let (single, half) = (of(Precision::F32), of(Precision::F16));
    assert!(
        (half[0] - single[0]).abs() < 1e-2,
        "{} and {}",
        half[0],
        single[0]
    );
    assert_ne!(half[0], single[0]);
    assert!(half[half.len() - 1] < half[0] / 4.0, "{half:?}");
}

#[test]
fn a_step_that_overflows_changes_only_the_scale() {
    for config in [half(20), in_parts(20)] {
        let mut learner = Learner::new(&runtime(), &config, &options()).expect("a learner");
        // The first scales are too large for this network.
        while learner.step(&batch(0)).expect("a step").is_skipped {}
        for _ in 0..2 {
            let before = learner.checkpoint().expect("a checkpoint");
            let report = learner.step(&huge(0)).expect("a skipped step");
            assert!(report.is_skipped && report.gradient_norm.is_none());
            let after = learner.checkpoint().expect("a checkpoint");
            assert_eq!(bits(&before), bits(&after));
            let (before, after) = (before.progress, after.progress);
            assert_eq!(after.steps, before.steps + 1);
            assert_eq!(after.skipped_steps, before.skipped_steps + 1);
            assert_eq!(after.optimizer_steps(after.steps), 1);
            assert_eq!(after.loss_scale.factor(), before.loss_scale.factor() / 2.0);
            assert_eq!(after.smoothed_loss, before.smoothed_loss);
        }
        let report = learner.step(&batch(0)).expect("a step");
        assert!(!report.is_skipped && report.loss.is_finite());
        let tensors = learner.checkpoint().expect("a checkpoint").tensors;
        let mut numbers = tensors.values().flat_map(|tensor| &tensor.data);
        assert!(numbers.all(|number| number.is_finite()));
    }
}

pub(super) fn bits(checkpoint: &Checkpoint) -> Vec<(&String, Vec<u32>)> {
    let tensors = checkpoint.tensors.iter();
    let bits = |data: &[f32]| data.iter().map(|number| number.to_bits()).collect();
    tensors.map(|(name, tensor)| (name, bits(&tensor.data))).collect()
}

/// Gradient sums and staged statistics of a skipped step must not affect the next one.
#[test]
fn a_run_with_skipped_steps_is_resumed_bit_for_bit() {
    let runtime = runtime();
    for config in [half(9), in_parts(9)] {
        let run = |learner: &mut Learner, steps: std::ops::Range<u64>| {
            for step in steps {
                let batch = if step % 2 == 1 { huge(step) } else { batch(step) };
                learner.step(&batch).expect("a step");
            }
        };
        let mut whole = Learner::new(&runtime, &config, &options()).expect("a learner");
        run(&mut whole, 0..9);
        for stop in [6, 7] {
            let mut first = Learner::new(&runtime, &config, &options()).expect("a learner");
            run(&mut first, 0..stop);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("checkpoint.safetensors");
            std::fs::write(&path, first.checkpoint().expect("a checkpoint").to_bytes()).expect("a file");
            let checkpoint = Checkpoint::load(&path).expect("a checkpoint");
            let mut resumed = Learner::resume(&runtime, checkpoint, &options()).expect("a learner");
            run(&mut resumed, stop..9);
            let [whole, resumed] = [&whole, &resumed].map(|of| of.checkpoint().expect("a checkpoint"));
            assert_eq!(whole.progress, resumed.progress);
            assert!(
                (4..8).contains(&whole.progress.skipped_steps),
                "{:?}",
                whole.progress
            );
            assert_eq!(bits(&whole), bits(&resumed));
        }
    }
}

#[test]
fn training_fails_if_gradients_overflow_at_the_minimum_scale() {
    let config = small(40);
    let config = RunConfig {
        arch: "resnet18@2".to_owned(),
        precision: Precision::F16,
        ..config
    };
    let mut learner = Learner::new(&runtime(), &config, &options()).expect("a learner");
    for step in 0..30 {
        assert!(learner.step(&huge(step)).expect("a skipped step").is_skipped);
    }
    let error = learner.step(&huge(30)).expect_err("the scale is at its minimum");
    assert!(
        matches!(
            error,
            Error::Overflow {
                epoch: 31,
                step: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("--precision bf16"), "{error}");
}

#[test]
fn a_skipped_step_is_logged_and_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = RunFolder::create(&folder.path().join("run"), &half(2)).expect("a folder");
    let mut learner = Learner::new(&runtime(), &half(2), &options()).expect("a learner");
    let report = learner.step(&huge(0)).expect("a skipped step");
    assert!(report.is_skipped && !report.loss.is_finite());
    let mut log = StepLog::new(run.path(), None::<TensorBoard>);
    for (steps, report) in [
        (1, report),
        (
            2,
            StepReport {
                loss: 0.5,
                is_skipped: false,
                ..report
            },
        ),
    ] {
        log.step(&StepEvent {
            epoch: steps - 1,
            steps,
            total_steps: 2,
            images: 16,
            report,
            smoothed_loss: report.loss,
            waited: Duration::ZERO,
            took: Duration::from_secs(1),
        });
    }
    drop(log);
    let lines = StepLog::read(run.path()).expect("readable");
    assert_eq!(
        lines.iter().map(|line| line.skipped).collect::<Vec<_>>(),
        [true, false]
    );
    assert!(lines[0].loss.is_nan() && lines[1].loss == 0.5);
    let (page, _) = page(&RunRecord::read(run.path()).expect("a run")).expect("a page");
    let html = page.to_html();
    assert!(html.contains("1 step of 2 skipped"), "{html}");
}

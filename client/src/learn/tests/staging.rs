//! Staging of the next batch does not change training.

use super::*;
use equibatch_stream::BatchDtype;
use equibatch_training::runtime::Staging;

fn staging(staging: Staging) -> SessionOptions {
    SessionOptions { staging, ..options() }
}

/// Images that differ between batches.
fn various(step: u64, wire: BatchDtype) -> Batch {
    let mut random = generator(6, Purpose::DRAWING, &[step]);
    let pixels = (IMAGES * 3 * SIZE * SIZE) as usize;
    let tensor = match wire {
        BatchDtype::U8 => (0..pixels).map(|_| random.next_u32() as u8).collect(),
        _ => (0..pixels)
            .flat_map(|_| (random.next_u32() as f32 / u32::MAX as f32 - 0.5).to_le_bytes())
            .collect(),
    };
    Batch {
        tensor,
        ..batch(step)
    }
}

/// Six steps; `announced` maps the number of a step to that of the batch announced as the next one.
fn trained(config: &RunConfig, mode: Staging, announced: impl Fn(u64) -> Option<u64>) -> (Vec<u8>, Vec<f64>) {
    let mut learner = Learner::new(&runtime(), config, &staging(mode)).expect("a learner");
    assert_eq!(learner.uses_staging(), mode == Staging::On);
    let batches: Vec<Batch> = (0..6).map(|step| various(step, config.wire)).collect();
    let mut losses = vec![];
    for batch in &batches {
        let next = announced(batch.epoch).map(|next| &batches[next as usize]);
        losses.push(learner.step_ahead(batch, next).expect("a step").loss);
    }
    (learner.checkpoint().expect("a checkpoint").to_bytes(), losses)
}

fn the_next_one(step: u64) -> Option<u64> {
    Some(step + 1).filter(|&next| next < 6)
}

fn kinds() -> [RunConfig; 3] {
    let in_parts = RunConfig {
        batch_size: IMAGES / 4,
        accumulate: 4,
        clip_norm: Some(0.5),
        ..small(6)
    };
    let pixels = RunConfig {
        wire: BatchDtype::U8,
        ..small(6)
    };
    [small(6), in_parts, pixels]
}

#[test]
fn staged_training_equals_unstaged_training_bit_for_bit() {
    for config in kinds() {
        let plain = trained(&config, Staging::Off, |_| None);
        let staged = trained(&config, Staging::On, the_next_one);
        assert_eq!(plain.1, staged.1, "{config:?}");
        assert!(plain.0 == staged.0, "the checkpoints differ: {config:?}");
        assert!(plain.1.windows(2).all(|losses| losses[0] != losses[1]));
    }
}

#[test]
fn a_late_or_different_next_batch_does_not_change_training() {
    for config in kinds() {
        let plain = trained(&config, Staging::Auto, |_| None);
        let late = trained(&config, Staging::On, |step| {
            the_next_one(step).filter(|next| next % 2 == 0)
        });
        let another = trained(&config, Staging::On, |step| Some((step + 2) % 6));
        let never = trained(&config, Staging::On, |_| None);
        for staged in [late, another, never] {
            assert_eq!(plain.1, staged.1, "{config:?}");
            assert!(plain.0 == staged.0, "the checkpoints differ: {config:?}");
        }
    }
}

#[test]
fn a_next_batch_of_another_size_fails_in_its_own_step() {
    let mut learner = Learner::new(&runtime(), &small(6), &staging(Staging::On)).expect("a learner");
    let first = various(0, BatchDtype::F32);
    let short = Batch {
        tensor: first.tensor.slice(4..),
        ..various(1, BatchDtype::F32)
    };
    learner.step_ahead(&first, Some(&short)).expect("a full batch");
    let message = learner.step(&short).expect_err("a short batch").to_string();
    assert!(message.starts_with("cannot use `images`: "), "{message}");
    assert_eq!(learner.progress().steps, 1);
}

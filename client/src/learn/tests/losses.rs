//! Losses of a run, and steps whose loss or gradients are not finite.

use super::*;

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

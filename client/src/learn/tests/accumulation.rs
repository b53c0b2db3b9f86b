//! Accumulated gradients and averaged weights.

use super::*;

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

use super::*;
use crate::graph::TensorType;
use crate::graph::op::Reduce;
use crate::nn::import::supported;
use crate::optim::Sgd;
use crate::program::{self, Loss};
use crate::runtime::{Device, Runtime};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/networks/mlp.onnx"
);
const BATCH: usize = 4;
const CLASSES: usize = 3;

fn runtime() -> Runtime {
    Runtime::load().expect("ONNX Runtime is installed: `make runtime`")
}

fn builder(loss: Loss) -> TrainerBuilder {
    let model = Model::from_onnx(FILE).expect("a network");
    Trainer::builder(model).loss(loss).batch_size(BATCH)
}

/// Plain SGD.
fn trainer(loss: Loss) -> Trainer {
    let builder = builder(loss).optimizer(Sgd::default());
    builder.build(&runtime(), Device::Cpu).expect("a trainer")
}

fn pixels() -> Vec<f32> {
    (0..BATCH * 3 * 32 * 32)
        .map(|at| (at as f32 * 0.37).sin())
        .collect()
}

fn targets() -> Vec<f32> {
    (0..BATCH * CLASSES)
        .map(|at| [0.0, 1.0, 0.25, 0.75][at % 4])
        .collect()
}

fn labels() -> Vec<i64> {
    vec![2, 0, 1, 2]
}

/// Loss of a step with learning rate 1, gradient of the logits by rows, and how the bias of the last layer moved.
fn step(loss: Loss, name: &str, array: &dyn Array) -> (f64, Vec<f64>, Vec<f64>) {
    let mut trainer = trainer(loss);
    let bias = |trainer: &Trainer| trainer.state().expect("values")["head.bias"].data.clone();
    let before = bias(&trainer);
    let found = trainer
        .step(&[("pixels", &pixels()), (name, array)], 1.0)
        .expect("a step");
    let scores = trainer.output("scores").expect("an output");
    let moved = bias(&trainer)
        .iter()
        .zip(&before)
        .map(|(after, before)| f64::from(after - before))
        .collect();
    (
        found.loss,
        scores.iter().map(|&score| f64::from(score)).collect(),
        moved,
    )
}

/// Checks the loss and its gradient with respect to the last bias, of which the logits' gradients are the terms.
fn agrees((loss, _, moved): (f64, Vec<f64>, Vec<f64>), expected: f64, gradient: &[f64]) {
    assert!(
        (loss - expected).abs() < 1e-5 * expected.abs().max(1.0),
        "{loss}, not {expected}"
    );
    for (class, moved) in moved.iter().enumerate() {
        let sum: f64 = gradient.iter().skip(class).step_by(CLASSES).sum();
        assert!((moved + sum).abs() < 1e-5, "class {class}: {moved}, not {}", -sum);
    }
}

#[test]
fn the_cross_entropy_is_pytorchs() {
    let labels = labels();
    let found = step(Loss::cross_entropy("scores", "labels"), "labels", &labels);
    let (mut expected, mut gradient) = (0.0, vec![]);
    for (row, &label) in found.1.chunks(CLASSES).zip(&labels) {
        let total: f64 = row.iter().map(|x| x.exp()).sum();
        expected -= (row[label as usize].exp() / total).ln() / BATCH as f64;
        let hit = |class: usize| f64::from(u8::from(class as i64 == label));
        gradient.extend((0..CLASSES).map(|class| (row[class].exp() / total - hit(class)) / BATCH as f64));
    }
    agrees(found, expected, &gradient);
}

#[test]
fn the_binary_cross_entropy_is_pytorchs() {
    let targets = targets();
    let found = step(
        Loss::binary_cross_entropy("scores", "targets"),
        "targets",
        &targets,
    );
    let count = (BATCH * CLASSES) as f64;
    let pairs = || {
        found
            .1
            .iter()
            .zip(&targets)
            .map(|(x, &t)| (1.0 / (1.0 + (-x).exp()), f64::from(t)))
    };
    let expected: f64 = pairs()
        .map(|(p, t)| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln()) / count)
        .sum();
    let gradient: Vec<f64> = pairs().map(|(p, t)| (p - t) / count).collect();
    agrees(found, expected, &gradient);
}

#[test]
fn the_mean_squared_error_is_pytorchs() {
    let targets = targets();
    let found = step(Loss::mean_squared_error("scores", "targets"), "targets", &targets);
    let count = (BATCH * CLASSES) as f64;
    let differences: Vec<f64> = found
        .1
        .iter()
        .zip(&targets)
        .map(|(x, &t)| x - f64::from(t))
        .collect();
    let expected: f64 = differences
        .iter()
        .map(|difference| difference * difference / count)
        .sum();
    let gradient: Vec<f64> = differences
        .iter()
        .map(|difference| 2.0 * difference / count)
        .collect();
    agrees(found, expected, &gradient);
}

#[test]
fn a_loss_may_be_any_graph_with_inputs_of_its_own() {
    let loss = Loss::new(|loss| {
        let scores = loss.value("scores")?;
        let weights = loss.input("weights", TensorType::f32([BATCH, CLASSES]))?;
        loss.add(|g| {
            let weighted = g.mul(scores, weights)?;
            let all = Reduce {
                axes: vec![0, 1],
                keep_axes: false,
            };
            g.reduce_sum(weighted, all)
        })
    });
    let targets = targets();
    let found = step(loss, "weights", &targets);
    let weights: Vec<f64> = targets.iter().map(|&weight| f64::from(weight)).collect();
    let expected: f64 = found.1.iter().zip(&weights).map(|(x, weight)| x * weight).sum();
    agrees(found, expected, &weights);
}

#[test]
fn groups_set_rates_decay_and_freezing_and_the_last_one_decides() {
    let model = Model::from_onnx(FILE).expect("a network");
    let model = model.trainable(|parameter| parameter.name != "place");
    // All gradients are zero, so only weight decay moves parameters.
    let loss = Loss::new(|loss| {
        let scores = loss.value("scores")?;
        loss.add(|g| {
            let zero = g.scalar(0.0);
            let nothing = g.mul(scores, zero)?;
            let all = Reduce {
                axes: vec![0, 1],
                keep_axes: false,
            };
            g.reduce_sum(nothing, all)
        })
    });
    let mut trainer = Trainer::builder(model)
        .loss(loss)
        .batch_size(BATCH)
        .optimizer(Sgd::default().weight_decay(1.0))
        .group(r"\.bias$", |group| group.weight_decay(0.0))
        .group("^norm", |group| group.weight_decay(2.0).frozen(true))
        .group(r"^norm\.weight", |group| group.frozen(false))
        .group(r"^head\.", |group| group.weight_decay(4.0).lr_scale(0.0))
        .group(r"^head\.weight", |group| group.lr_scale(0.5))
        .build(&runtime(), Device::Cpu)
        .expect("a trainer");
    let before = trainer.state().expect("values");
    trainer.step(&[("pixels", &pixels())], 0.125).expect("a step");
    let after = trainer.state().expect("values");
    for (name, kept) in [
        ("place", 1.0),
        ("patches.bias", 1.0),
        ("norm.bias", 1.0),
        ("norm.weight", 1.0 - 0.125 * 2.0),
        ("head.bias", 1.0),
        ("head.weight", 1.0 - 0.125 * 0.5 * 4.0),
    ] {
        for (before, after) in before[name].data.iter().zip(&after[name].data) {
            assert!(
                (after - before * kept).abs() < 1e-6,
                "{name}: {before} became {after}"
            );
        }
    }
}

#[test]
fn a_saved_state_is_continued_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("state.safetensors");
    let new = || {
        let builder = builder(Loss::cross_entropy("scores", "labels")).clip_grad_norm(0.5);
        builder.build(&runtime(), Device::Cpu).expect("a trainer")
    };
    let run = |trainer: &mut Trainer, steps: u64| {
        for _ in 0..steps {
            trainer
                .step(&[("pixels", &pixels()), ("labels", &labels())], 1e-2)
                .expect("a step");
        }
    };
    let mut first = new();
    run(&mut first, 3);
    first.save_state(&path).expect("a file");
    run(&mut first, 2);
    let mut second = new();
    second.load_state(&path).expect("the same network");
    assert_eq!(second.steps(), 3);
    run(&mut second, 2);
    assert!(first.state().expect("values") == second.state().expect("values"));
    let mut other = trainer(Loss::cross_entropy("scores", "labels"));
    let message = other.load_state(FILE).expect_err("no state").to_string();
    assert!(message.starts_with("cannot use the state: "), "{message}");
}

#[test]
fn an_exported_model_computes_the_same_and_can_be_trained_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("trained.onnx");
    let mut first = trainer(Loss::cross_entropy("scores", "labels"));
    let batch: [(&str, &dyn Array); 2] = [("pixels", &pixels()), ("labels", &labels())];
    first.step(&batch, 0.1).expect("a step");
    first.export_inference(&path).expect("a file");
    let bytes = std::fs::read(&path).expect("the file");
    assert!(!bytes.windows(9).any(|window| window == b"equibatch"));
    first.step(&batch, 0.0).expect("a step");
    let again = Trainer::builder(Model::from_onnx(&path).expect("a network"));
    let again = again
        .loss(Loss::cross_entropy("scores", "labels"))
        .batch_size(BATCH);
    let mut again = again.build(&runtime(), Device::Cpu).expect("a trainer");
    again.step(&batch, 0.0).expect("a step");
    let [first, again] = [&first, &again].map(|trainer| trainer.output("scores").expect("an output"));
    for (first, again) in first.iter().zip(again) {
        assert!((first - again).abs() < 1e-5, "{first}, {again}");
    }
}

#[test]
fn a_batch_that_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let mut trainer = trainer(Loss::cross_entropy("scores", "labels"));
    let before = trainer.state().expect("values");
    let (images, floats) = (pixels(), targets());
    let mut refused =
        |batch: &[(&str, &dyn Array)]| trainer.step(batch, 0.1).expect_err("refused").to_string();
    assert_eq!(
        refused(&[("pixels", &images)]),
        "cannot use `labels` in a step: the batch has no such array"
    );
    assert_eq!(
        refused(&[("pixels", &images), ("labels", &labels()), ("x", &floats)]),
        "cannot use `x` in a step: the inputs are [\"pixels\", \"labels\"]"
    );
    assert_eq!(
        refused(&[("pixels", &images), ("labels", &floats)]),
        "cannot use `labels` in a step: its elements are f32, expected i64"
    );
    assert_eq!(
        refused(&[("pixels", &images), ("labels", &vec![0_i64, 1, 2, 3])]),
        "cannot use `labels` in a step: it has the label 3, expected 0 to 2"
    );
    assert_eq!(
        refused(&[("pixels", &floats), ("labels", &labels())]),
        "cannot use `pixels`: the program has 12288 elements, the value has 12"
    );
    let infinite = vec![f32::INFINITY; images.len()];
    let message = refused(&[("pixels", &infinite), ("labels", &labels())]);
    assert!(message.contains("of step 1 is infinite or NaN"), "{message}");
    assert!(before == trainer.state().expect("values"));
    assert_eq!(trainer.steps(), 0);
}

#[test]
fn settings_that_fit_no_part_of_the_network_are_named() {
    let message = |builder: TrainerBuilder| {
        let error = builder.build(&runtime(), Device::Cpu).expect_err("refused");
        match std::error::Error::source(&error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        }
    };
    let loss = || Loss::cross_entropy("scores", "labels");
    assert!(
        message(builder(loss()).group("conv", |group| group)).contains("`conv`: no parameter name matches")
    );
    assert!(message(builder(loss()).group("(", |group| group)).starts_with("parameter group `(`: "));
    assert!(message(builder(loss()).group(".", |group| group.frozen(true))).contains("at least 1"));
    let unknown = builder(Loss::output("logits"));
    assert!(message(unknown).contains("the loss reads `logits`"));
    assert!(message(builder(Loss::output("scores"))).contains("expected [], a scalar"));
    let model = || Model::from_onnx(FILE).expect("a network");
    let without = Trainer::builder(model()).batch_size(BATCH);
    assert_eq!(message(without), "cannot build the trainer: it needs a loss");
    let refused = model()
        .replace_linear("fc", 2)
        .expect_err("no such layer")
        .to_string();
    assert!(
        refused.contains("no linear layer `fc`") && refused.contains("head.weight"),
        "{refused}"
    );
    assert!(model().replace_linear("head", 0).is_err());
    let replaced = model().replace_linear("head", 5).expect("a linear layer");
    let shapes = program::state_shapes(&replaced.into_spec()).expect("a network");
    assert_eq!(shapes["head.bias"].to_vec(), [5]);
}

#[test]
fn the_readme_lists_the_supported_operators() {
    let readme = include_str!("../../README.md");
    for operator in supported() {
        assert!(readme.contains(&format!("`{operator}`")), "{operator}");
    }
}

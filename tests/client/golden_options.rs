//! Clipping, weight averaging and gradient accumulation against PyTorch on the same batches: see `generate/train_options.py`.

use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::Array;
use equibatch_training::program::{Role, Signature, TrainSpec, parts_graphs, train_graph};

use super::golden::{Run, STEPS, WHOLE, error, fixture, initial, inputs, interpreted, on_onnx_runtime, spec};

type Arrays = BTreeMap<String, Array>;

fn golden() -> Arrays {
    let mut golden = fixture(WHOLE);
    golden.extend(fixture("train_options.safetensors"));
    golden
}

fn options(golden: &Arrays, batch_size: usize) -> TrainSpec {
    TrainSpec {
        batch_size,
        clip_norm: Some(golden["clip_norm"].data[0] as f32),
        average: true,
        ..spec()
    }
}

/// Runs a program on a state, updates the state, and returns the other outputs.
fn advance(
    run: Run,
    (graph, signature): &(equibatch_training::graph::Graph, Signature),
    state: &mut Arrays,
    inputs: Arrays,
) -> Arrays {
    let leaves = state.clone().into_iter().chain(inputs).collect();
    let mut outputs = run(graph, &leaves);
    for pair in &signature.state {
        if let Some(next) = &pair.output {
            state.insert(pair.input.clone(), outputs.remove(next).expect("an output"));
        }
    }
    outputs
}

/// The rows of one micro-batch; tensors without rows are unchanged.
fn part_of(inputs: &Arrays, rows: std::ops::Range<usize>) -> Arrays {
    let cut = |(name, array): (&String, &Array)| {
        let of_row = match array.shape.first() {
            Some(count) => array.data.len() / count,
            None => return (name.clone(), array.clone()),
        };
        let shape = [&[rows.len()], &array.shape[1..]].concat();
        let data = array.data[rows.start * of_row..rows.end * of_row].to_vec();
        (name.clone(), Array::new(&shape, data))
    };
    inputs.iter().map(cut).collect()
}

/// Three steps on whole batches.
fn whole(run: Run, golden: &Arrays) -> Arrays {
    let program = train_graph(&options(golden, 6)).expect("a valid step");
    let mut state = initial(&program.1, golden);
    let mut results = Arrays::new();
    for step in 0..STEPS {
        let inputs = inputs(&program.1, golden, step);
        let mut outputs = advance(run, &program, &mut state, inputs);
        for name in ["loss", "gradient_norm"] {
            results.insert(
                format!("1/{name}.{step}"),
                outputs.remove(name).expect("an output"),
            );
        }
    }
    let averages = state.into_iter().filter(|(name, _)| name.starts_with("average."));
    results.extend(averages.map(|(name, array)| (format!("1/{name}"), array)));
    results
}

/// Three steps of two micro-batches each.
fn parts(run: Run, golden: &Arrays) -> Arrays {
    let [gradients, update] = parts_graphs(&options(golden, 3)).expect("a valid step");
    let mut state = initial(&gradients.1, golden);
    state.extend(initial(&update.1, golden));
    let (_, whole) = train_graph(&options(golden, 6)).expect("a valid step");
    let mut results = Arrays::new();
    for step in 0..STEPS {
        let mut of_batch = inputs(&whole, golden, step);
        let mut loss = 0.0;
        for part in 0..2 {
            let mut of_part = part_of(&of_batch, 3 * part..3 * part + 3);
            of_part.insert("keep".to_owned(), Array::new(&[], vec![part as f64]));
            of_part.retain(|name, _| gradients.1.inputs.iter().any(|input| input.name == *name));
            loss += advance(run, &gradients, &mut state, of_part)["loss"].data[0];
        }
        results.insert(format!("2/loss.{step}"), Array::new(&[], vec![loss]));
        of_batch.retain(|name, _| update.1.inputs.iter().any(|input| input.name == *name));
        let mut outputs = advance(run, &update, &mut state, of_batch);
        let norm = outputs.remove("gradient_norm").expect("an output");
        results.insert(format!("2/gradient_norm.{step}"), norm);
    }
    let averages = state.into_iter().filter(|(name, _)| name.starts_with("average."));
    results.extend(averages.map(|(name, array)| (format!("2/{name}"), array)));
    results
}

fn compare(found: &Arrays, golden: &Arrays, tolerance: impl Fn(&str) -> f64) {
    // Large kernels are not in the fixture.
    let compared = found
        .iter()
        .filter_map(|(name, found)| Some((name, found, golden.get(name)?)));
    let mut count = 0;
    for (name, found, expected) in compared {
        let error = error(found, expected);
        assert!(error < tolerance(name), "{name} is off by {error:e}");
        count += 1;
    }
    // Losses and norms; of 20 convolutions the smaller 10, of 22 batch norms and 2 linear layers all.
    assert_eq!(count, 2 * STEPS + 10 + 4 * 22 + 2 * 2);
}

#[test]
fn clipped_and_averaged_steps_in_double_precision_equal_pytorch() {
    let golden = golden();
    compare(&whole(interpreted, &golden), &golden, |_| 2e-5);
}

#[test]
fn accumulated_steps_in_double_precision_equal_pytorch() {
    let golden = golden();
    compare(&parts(interpreted, &golden), &golden, |_| 2e-5);
}

/// Tolerances are a small multiple of PyTorch's own error in single precision, and an addend, because the networks amplify rounding so much
/// that one tensor's error is chance. The options are tested exactly in double precision.
#[test]
fn options_on_onnx_runtime_are_as_exact_as_pytorch() {
    let golden = golden();
    let tolerance = |name: &str| 10.0 * golden[&format!("error/{name}")].data[0] + 5e-4;
    compare(&whole(on_onnx_runtime, &golden), &golden, tolerance);
    compare(&parts(on_onnx_runtime, &golden), &golden, tolerance);
}

/// If both micro-batches have the same images, their statistics are those of the whole batch, and steps are equal up to rounding (and to
/// the running variance, whose correction for the number of elements differs).
#[test]
fn accumulated_micro_batches_with_equal_statistics_equal_a_whole_batch() {
    let golden = golden();
    let whole = train_graph(&options(&golden, 6)).expect("a valid step");
    let [gradients, update] = parts_graphs(&options(&golden, 3)).expect("a valid step");
    let mut inputs = inputs(&whole.1, &golden, 0);
    for array in inputs.values_mut().filter(|array| !array.shape.is_empty()) {
        let half = array.data.len() / 2;
        let (first, second) = array.data.split_at_mut(half);
        second.copy_from_slice(first);
    }
    let mut expected = initial(&whole.1, &golden);
    let outputs = advance(interpreted, &whole, &mut expected, inputs.clone());
    let mut state = initial(&gradients.1, &golden);
    state.extend(initial(&update.1, &golden));
    for part in 0..2 {
        let mut of_part = part_of(&inputs, 3 * part..3 * part + 3);
        of_part.insert("keep".to_owned(), Array::new(&[], vec![part as f64]));
        advance(interpreted, &gradients, &mut state, of_part);
    }
    let norm = &advance(interpreted, &update, &mut state, inputs)["gradient_norm"];
    assert!(error(norm, &outputs["gradient_norm"]) < 1e-9);
    for pair in whole.1.state.iter().filter(|pair| pair.role == Role::Parameter) {
        let error = error(&state[&pair.name], &expected[&pair.name]);
        assert!(error < 1e-9, "{} is off by {error:e}", pair.name);
    }
}

use std::collections::BTreeMap;

use super::*;
use crate::{
    graph::{
        Graph, TensorType,
        export::{ExportOptions, export},
        lower::{Kernels, lower},
    },
    program::{ElementType, Role, StatePair, ValueInfo},
};

/// A parameter of two elements.
fn pair(name: &str, output: Option<&str>) -> StatePair {
    StatePair {
        name: name.to_owned(),
        input: name.to_owned(),
        output: output.map(str::to_owned),
        is_in_place: false,
        shape: [2].into(),
        role: Role::Parameter,
        members: vec![],
    }
}

/// `total.next = total + amount`, `sum = total + amount + fixed`.
fn accumulator() -> Program {
    let mut graph = Graph::new();
    let g = &mut graph;
    let amount = g.input("amount", TensorType::f32([2])).expect("an input");
    let total = g.parameter("total", [2]).expect("a parameter");
    let fixed = g.parameter("fixed", [2]).expect("a parameter");
    let next = g.add(total, amount).expect("equal shapes");
    let sum = g.add(next, fixed).expect("equal shapes");
    g.output("total.next", next).expect("an output");
    g.output("sum", sum).expect("an output");
    let value = |name: &str| ValueInfo {
        name: name.to_owned(),
        element_type: ElementType::F32,
        shape: [2].into(),
    };
    let signature = Signature {
        inputs: vec![value("amount")],
        state: vec![pair("total", Some("total.next")), pair("fixed", None)],
        outputs: vec![value("sum")],
        ..Signature::default()
    };
    let lowered = lower(&graph, Kernels::Cpu).expect("standard operators");
    Program {
        model: export(&lowered, &ExportOptions::default()).expect("a model"),
        signature,
    }
}

fn runner() -> StepRunner {
    let runtime = Runtime::load().expect("ONNX Runtime is installed: `make runtime`");
    StepRunner::new(
        &runtime,
        "the accumulator",
        &accumulator(),
        &SessionOptions::default(),
    )
    .expect("a runner")
}

fn state(total: f32) -> BTreeMap<String, Tensor> {
    let tensor = |number: f32| Tensor::full([2], number);
    BTreeMap::from([
        ("total".to_owned(), tensor(total)),
        ("fixed".to_owned(), tensor(100.0)),
    ])
}

#[test]
fn a_step_updates_only_state_with_an_output() {
    let mut runner = runner();
    let mut device = runner.upload(state(0.0)).expect("room");
    for step in 1..=5 {
        runner
            .f32_input("amount")
            .expect("an input")
            .copy_from_slice(&[1.0, 10.0]);
        runner.step(&mut device).expect("a step");
        let step = step as f32;
        assert_eq!(device.read().expect("values")["total"].data, [step, 10.0 * step]);
        assert_eq!(
            device.read().expect("values")["fixed"].data,
            [100.0, 100.0],
            "step {step}"
        );
        assert_eq!(
            runner.output("sum").expect("an output"),
            [100.0 + step, 100.0 + 10.0 * step]
        );
    }
}

#[test]
fn rollback_restores_the_state_before_the_step() {
    let mut runner = runner();
    let mut device = runner.upload(state(0.0)).expect("room");
    let mut step = |amount: f32, is_kept: bool| {
        runner.f32_input("amount").expect("an input").fill(amount);
        runner.step(&mut device).expect("a step");
        assert!(runner.output("sum").expect("an output")[0].is_finite() == is_kept);
        if !is_kept {
            runner.rollback(&mut device).expect("the same state");
        }
        device.read().expect("values")["total"].data[0]
    };
    assert_eq!(step(1.0, true), 1.0);
    assert_eq!(step(f32::NAN, false), 1.0);
    assert_eq!(step(f32::INFINITY, false), 1.0);
    assert_eq!(step(2.0, true), 3.0);
    assert_eq!(step(f32::NAN, false), 3.0);
}

#[test]
fn states_of_one_runner_are_independent() {
    let mut runner = runner();
    let mut first = runner.upload(state(0.0)).expect("room");
    let mut second = runner.upload(state(50.0)).expect("room");
    runner.f32_input("amount").expect("an input").fill(1.0);
    for state in [&mut first, &mut second] {
        runner.step(state).expect("a step");
    }
    runner.step(&mut first).expect("a step");
    assert_eq!(first.read().expect("values")["total"].data, [2.0, 2.0]);
    assert_eq!(second.read().expect("values")["total"].data, [51.0, 51.0]);
}

/// `saved.next = saved + total`; reads `total` without updating it.
fn collector() -> Program {
    let mut graph = Graph::new();
    let g = &mut graph;
    let total = g.parameter("total", [2]).expect("a parameter");
    let saved = g.parameter("saved", [2]).expect("a parameter");
    let next = g.add(saved, total).expect("equal shapes");
    g.output("saved.next", next).expect("an output");
    let signature = Signature {
        state: vec![pair("total", None), pair("saved", Some("saved.next"))],
        ..Signature::default()
    };
    let lowered = lower(&graph, Kernels::Cpu).expect("standard operators");
    Program {
        model: export(&lowered, &ExportOptions::default()).expect("a model"),
        signature,
    }
}

#[test]
fn two_programs_can_share_a_state() {
    let mut adder = runner();
    let runtime = Runtime::load().expect("ONNX Runtime is installed: `make runtime`");
    let options = SessionOptions::default();
    let mut saver = StepRunner::new(&runtime, "the collector", &collector(), &options).expect("a runner");
    let mut values = state(0.0);
    values.insert("saved".to_owned(), Tensor::full([2], 0.0));
    let mut device = adder.upload(values).expect("room");
    adder.f32_input("amount").expect("an input").fill(1.0);
    let (mut total, mut saved) = (0.0, 0.0);
    // Uses all combinations of buffers repeatedly.
    for additions in [1, 2, 1, 3, 2, 2, 1] {
        for _ in 0..additions {
            adder.step(&mut device).expect("a step");
            total += 1.0;
        }
        saver.step(&mut device).expect("a step");
        saved += total;
        let values = device.read().expect("values");
        assert_eq!(values["total"].data, [total; 2]);
        assert_eq!(values["saved"].data, [saved; 2]);
    }
}

#[test]
fn load_replaces_the_values_of_both_buffers() {
    let mut runner = runner();
    let mut device = runner.upload(state(0.0)).expect("room");
    runner.f32_input("amount").expect("an input").fill(1.0);
    for _ in 0..2 {
        runner.step(&mut device).expect("a step");
        device.load(&state(7.0)).expect("equal shapes");
        assert_eq!(device.read().expect("values"), state(7.0));
    }
}

#[test]
fn unknown_names_and_wrong_lengths_are_errors_that_name_the_value() {
    let mut runner = runner();
    let message = runner.f32_input("label").expect_err("unknown").to_string();
    assert_eq!(
        message,
        "cannot find `label` among the f32 inputs of the accumulator"
    );
    assert!(runner.i64_input("amount").is_err(), "another element type");
    assert!(runner.output("loss").is_err());
    let mut device = runner.upload(state(0.0)).expect("room");
    let mut short = state(0.0);
    short.insert("total".to_owned(), Tensor::full([1], 0.0));
    let message = device.load(&short).expect_err("too short").to_string();
    assert_eq!(
        message,
        "cannot use `total`: the program has 2 elements, the value has 1"
    );
    short.remove("total");
    assert!(
        device
            .load(&short)
            .expect_err("missing")
            .to_string()
            .contains("`total`")
    );
}

fn bytes(numbers: [f32; 2]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn a_run_reads_the_elements_staged_during_the_previous_one() {
    let mut runner = runner();
    runner.double_buffer("amount").expect("an input");
    let mut device = runner.upload(state(0.0)).expect("room");
    runner.fill("amount", &bytes([1.0, 10.0])).expect("two elements");
    let mut expected = [0.0, 0.0];
    // Every third step stages nothing, and the next input is filled instead.
    for step in 1..=9 {
        let step = step as f32;
        let next = bytes([step + 1.0, 10.0 * (step + 1.0)]);
        let is_there = step % 3.0 != 0.0;
        let ahead = is_there.then_some(("amount", next.as_slice()));
        runner.step_ahead(&mut device, ahead).expect("a step");
        if !is_there {
            runner.fill("amount", &next).expect("two elements");
        }
        expected = [expected[0] + step, expected[1] + 10.0 * step];
        assert_eq!(device.read().expect("values")["total"].data, expected);
    }
    // Without new elements, an input keeps its content.
    runner.step(&mut device).expect("a step");
    assert_eq!(
        device.read().expect("values")["total"].data,
        [expected[0] + 10.0, expected[1] + 100.0]
    );
}

#[test]
fn a_failed_copy_is_an_error_and_leaves_the_state_unchanged() {
    let mut runner = runner();
    let mut device = runner.upload(state(0.0)).expect("room");
    let elements = bytes([1.0, 1.0]);
    let message = runner.step_ahead(&mut device, Some(("amount", &elements)));
    assert_eq!(
        message.expect_err("one buffer").to_string(),
        "cannot find `amount` among the double-buffered inputs of the accumulator"
    );
    assert!(runner.double_buffer("label").is_err(), "an unknown input");
    runner.double_buffer("amount").expect("an input");
    assert!(runner.f32_input("amount").is_err(), "filled by bytes alone");
    runner.fill("amount", &elements).expect("two elements");
    let message = runner.step_ahead(&mut device, Some(("amount", &elements[..4])));
    assert_eq!(
        message.expect_err("too short").to_string(),
        "cannot use `amount`: the program has 2 elements, the value has 1"
    );
    assert_eq!(device.read().expect("values"), state(0.0));
    runner.step(&mut device).expect("a step");
    assert_eq!(device.read().expect("values")["total"].data, [1.0, 1.0]);
}

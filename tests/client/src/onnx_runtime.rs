//! Runs graphs on ONNX Runtime.

use std::collections::BTreeMap;

use anyhow::Context as _;
use equibatch_training::graph::export::{self, ExportOptions};
use equibatch_training::graph::{ElementType, Graph, Origin, lower};
use equibatch_training::runtime::{Runtime, operators};
use half::{bf16, f16};
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

use crate::interpreter::Array;

/// Lowers and exports a graph, runs it once with the given inputs and parameters, and returns its outputs by name.
///
/// # Errors
/// If the graph cannot be exported, or ONNX Runtime refuses it.
pub fn run(graph: &Graph, leaves: &BTreeMap<String, Array>) -> anyhow::Result<BTreeMap<String, Array>> {
    run_with_threads(graph, leaves, 2)
}

/// [`run`] on a number of threads.
///
/// # Errors
/// If the graph cannot be exported, or ONNX Runtime refuses it.
pub fn run_with_threads(
    graph: &Graph,
    leaves: &BTreeMap<String, Array>,
    threads: usize,
) -> anyhow::Result<BTreeMap<String, Array>> {
    let lowered = lower::lower(graph)?;
    let model = export::export(
        &lowered,
        &ExportOptions {
            name: "test",
            ..ExportOptions::default()
        },
    )?;
    let mut session = session(&model, threads)?;
    let mut inputs: Vec<(String, SessionInputValue<'_>)> = Vec::new();
    for value in lowered.values() {
        if let Origin::Input(name) | Origin::Parameter(name) = lowered.origin(value) {
            let array = leaves.get(name).with_context(|| format!("no value for {name}"))?;
            inputs.push((
                name.clone(),
                input(array, lowered.tensor_type(value).element_type)?,
            ));
        }
    }
    let outputs = session.run(inputs)?;
    lowered
        .outputs()
        .iter()
        .map(|(name, value)| {
            let data = match lowered.tensor_type(*value).element_type {
                ElementType::F32 => outputs[&**name]
                    .try_extract_tensor::<f32>()?
                    .1
                    .iter()
                    .map(|&number| f64::from(number))
                    .collect(),
                ElementType::F16 => outputs[&**name]
                    .try_extract_tensor::<f16>()?
                    .1
                    .iter()
                    .map(|&number| number.to_f64())
                    .collect(),
                ElementType::Bf16 => outputs[&**name]
                    .try_extract_tensor::<bf16>()?
                    .1
                    .iter()
                    .map(|&number| number.to_f64())
                    .collect(),
                ElementType::U8 => outputs[&**name]
                    .try_extract_tensor::<u8>()?
                    .1
                    .iter()
                    .map(|&number| f64::from(number))
                    .collect(),
                ElementType::I64 => outputs[&**name]
                    .try_extract_tensor::<i64>()?
                    .1
                    .iter()
                    .map(|&number| number as f64)
                    .collect(),
                ElementType::Bool => outputs[&**name]
                    .try_extract_tensor::<bool>()?
                    .1
                    .iter()
                    .map(|&truth| f64::from(u8::from(truth)))
                    .collect(),
            };
            Ok((name.clone(), Array::new(lowered.shape(*value), data)))
        })
        .collect()
}

/// Runs a model with one float input and returns one of its float outputs.
///
/// # Errors
/// If the graph cannot be exported, or ONNX Runtime refuses it.
pub fn run_model(model: &[u8], name: &str, array: &Array, output: &str) -> anyhow::Result<Array> {
    run_model_on(model, name, (array, ElementType::F32), output)
}

/// [`run_model`] with an input of another type.
///
/// # Errors
/// If the graph cannot be exported, or ONNX Runtime refuses it.
pub fn run_model_on(
    model: &[u8],
    name: &str,
    (array, element_type): (&Array, ElementType),
    output: &str,
) -> anyhow::Result<Array> {
    let mut session = session(model, 2)?;
    let outputs = session.run(vec![(name.to_owned(), input(array, element_type)?)])?;
    let (shape, data) = outputs[output].try_extract_tensor::<f32>()?;
    let shape: Vec<usize> = shape
        .iter()
        .map(|&extent| usize::try_from(extent))
        .collect::<Result<_, _>>()?;
    Ok(Array::new(
        &shape,
        data.iter().map(|&number| f64::from(number)).collect(),
    ))
}

fn session(model: &[u8], threads: usize) -> anyhow::Result<Session> {
    let runtime = Runtime::load()?;
    let session = || -> ort::Result<Session> {
        Session::builder(runtime.environment())?
            .with_operators(operators::domain()?)?
            .with_intra_threads(threads)?
            .commit_from_memory(model)
    };
    Ok(session()?)
}

fn input(array: &Array, element_type: ElementType) -> anyhow::Result<SessionInputValue<'static>> {
    let shape: Vec<i64> = array.shape.iter().map(|&extent| extent as i64).collect();
    Ok(match element_type {
        ElementType::F32 => Tensor::from_array((
            shape,
            array.data.iter().map(|&number| number as f32).collect::<Vec<_>>(),
        ))?
        .into(),
        ElementType::F16 => Tensor::from_array((
            shape,
            array
                .data
                .iter()
                .map(|&number| f16::from_f64(number))
                .collect::<Vec<_>>(),
        ))?
        .into(),
        ElementType::Bf16 => Tensor::from_array((
            shape,
            array
                .data
                .iter()
                .map(|&number| bf16::from_f64(number))
                .collect::<Vec<_>>(),
        ))?
        .into(),
        ElementType::U8 => Tensor::from_array((
            shape,
            array.data.iter().map(|&number| number as u8).collect::<Vec<_>>(),
        ))?
        .into(),
        ElementType::I64 => Tensor::from_array((
            shape,
            array.data.iter().map(|&number| number as i64).collect::<Vec<_>>(),
        ))?
        .into(),
        ElementType::Bool => Tensor::from_array((
            shape,
            array.data.iter().map(|&number| number != 0.0).collect::<Vec<_>>(),
        ))?
        .into(),
    })
}

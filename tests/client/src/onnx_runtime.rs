//! Runs graphs on ONNX Runtime.

use std::{collections::BTreeMap, fmt::Debug};

use anyhow::Context as _;
use equibatch_training::graph::export::{self, ExportOptions};
use equibatch_training::graph::{ElementType, Graph, Origin, lower};
use equibatch_training::runtime::{Runtime, operators};
use half::{bf16, f16};
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

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
    let lowered = lower::lower(graph, lower::Kernels::Cpu)?;
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
            let output = &outputs[&**name];
            let data = match lowered.tensor_type(*value).element_type {
                ElementType::F32 => elements::<f32>(output, f64::from),
                ElementType::F16 => elements::<f16>(output, f64::from),
                ElementType::Bf16 => elements::<bf16>(output, f64::from),
                ElementType::U8 => elements::<u8>(output, f64::from),
                ElementType::I64 => elements(output, |number: i64| number as f64),
                ElementType::Bool => elements(output, |truth: bool| f64::from(u8::from(truth))),
            }?;
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
    match element_type {
        ElementType::F32 => tensor(array, |number| number as f32),
        ElementType::F16 => tensor(array, f16::from_f64),
        ElementType::Bf16 => tensor(array, bf16::from_f64),
        ElementType::U8 => tensor(array, |number| number as u8),
        ElementType::I64 => tensor(array, |number| number as i64),
        ElementType::Bool => tensor(array, |number| number != 0.0),
    }
}

fn tensor<T: PrimitiveTensorElementType + Clone + Debug + 'static>(
    array: &Array,
    element: impl Fn(f64) -> T,
) -> anyhow::Result<SessionInputValue<'static>> {
    let shape: Vec<i64> = array.shape.iter().map(|&extent| extent as i64).collect();
    let data: Vec<T> = array.data.iter().map(|&number| element(number)).collect();
    Ok(Tensor::from_array((shape, data))?.into())
}

/// The elements of an output, as doubles.
fn elements<T: PrimitiveTensorElementType + Copy>(
    output: &DynValue,
    double: impl Fn(T) -> f64,
) -> anyhow::Result<Vec<f64>> {
    let (_shape, data) = output.try_extract_tensor::<T>()?;
    Ok(data.iter().map(|&element| double(element)).collect())
}

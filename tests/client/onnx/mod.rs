//! Networks from ONNX files.
//!
//! - `against_pytorch`: single operators that PyTorch exported, against PyTorch.
//! - `depthwise`: networks of depthwise convolutions are fused.
//! - `exported`: networks that PyTorch exported, against PyTorch.
//! - `operators`: every supported operator through import, a training step, export and import.
//! - `parameters`: which tensors of a file are trained.
//! - `invalid`: files that are refused.

mod against_pytorch;
pub(crate) mod depthwise;
pub(crate) mod exported;
mod invalid;
mod operators;
mod parameters;

use equibatch_training::{
    graph::{Graph, TensorType},
    nn::{Builder, LayerGroup, Mode},
    program::{
        Classifier, ModelSpec, OnnxModel, Role, Tensor, TrainSpec, import, initial_state, train_graph,
    },
};
use std::{collections::BTreeMap, sync::Arc};

use equibatch_client_tests::{
    interpreter::Array,
    model_file::{
        Attribute::{Int, Ints},
        ModelFile,
    },
    onnx_runtime,
};

const SIZE: usize = 32;
const BATCH: usize = 3;
const CLASSES: usize = 2;

fn network(bytes: &[u8]) -> OnnxModel {
    let model = import::read(bytes, &|_| unreachable!("it is one file")).unwrap();
    OnnxModel::new(model).unwrap()
}

pub(crate) fn spec(bytes: &[u8]) -> ModelSpec {
    ModelSpec::Classifier(Classifier {
        network: Arc::new(network(bytes)),
        classes: CLASSES,
        image_size: SIZE,
    })
}

fn images() -> Array {
    let place = |at: &[usize]| at.iter().fold(0, |flat, at| flat * SIZE + at);
    Array::from_fn(&[BATCH, 3, SIZE, SIZE], |at| {
        f64::from((place(at) as f32 * 0.37).sin())
    })
}

/// The network's state after one training step on ONNX Runtime.
fn after_a_step(spec: &ModelSpec, name: &str) -> BTreeMap<String, Tensor> {
    let (graph, signature) =
        train_graph(&TrainSpec::new(spec.clone(), BATCH)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let mut state = initial_state(spec, 0).unwrap();
    let pairs = signature.state.iter().map(|pair| {
        let start = match state.get(&pair.name) {
            Some(tensor) if matches!(pair.role, Role::Parameter | Role::Statistic) => {
                let data = tensor.data.iter().map(|&number| f64::from(number));
                Array::new(&tensor.shape, data.collect())
            }
            _ => Array::zeros(&pair.shape),
        };
        (pair.input.clone(), start)
    });
    let inputs = signature.inputs.iter().map(|input| {
        let array = match &*input.name {
            "images" => images(),
            "targets" => Array::from_fn(&input.shape, |at| {
                f64::from(u8::from(at[1] == at[0] % CLASSES)) / BATCH as f64
            }),
            name if name.starts_with("learning_rate") => Array::new(&[], vec![1e-2]),
            _ if input.shape.is_empty() => Array::new(&[], vec![0.9]),
            _ => Array::from_fn(&input.shape, |_| 1.0),
        };
        (input.name.clone(), array)
    });
    let leaves = pairs.chain(inputs).collect();
    let outputs = onnx_runtime::run(&graph, &leaves).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(outputs["loss"].data[0].is_finite(), "{name}");
    for pair in &signature.state {
        if let (Some(next), Some(tensor)) = (&pair.output, state.get_mut(&pair.name)) {
            tensor.data = outputs[next].data.iter().map(|&number| number as f32).collect();
        }
    }
    state
}

/// `middle` between a convolution with output `x: [n, 4, 8, 8]` and a classifier of `channels` channels with input `y`.
fn around(middle: impl FnOnce(ModelFile) -> ModelFile, channels: i64) -> ModelFile {
    let begun = ModelFile::new(SIZE as i64)
        .weights("stem.weight", &[4, 3, 4, 4])
        .weights("stem.bias", &[4])
        .node(
            "Conv",
            &["pixels", "stem.weight", "stem.bias"],
            &["x"],
            &[Ints("strides", &[4, 4])],
        );
    middle(begun)
        .weights("fc.weight", &[CLASSES as i64, channels])
        .weights("fc.bias", &[CLASSES as i64])
        .node("GlobalAveragePool", &["y"], &["pooled"], &[])
        .node("Flatten", &["pooled"], &["flat"], &[])
        .node(
            "Gemm",
            &["flat", "fc.weight", "fc.bias"],
            &["scores"],
            &[Int("transB", 1)],
        )
}

/// Name and layer group of every parameter.
fn trained(network: &OnnxModel) -> Vec<(String, LayerGroup)> {
    let mut graph = Graph::new();
    let images = graph
        .input("images", TensorType::f32([BATCH, 3, SIZE, SIZE]))
        .unwrap();
    let mut builder = Builder::new(&mut graph, Mode::Train);
    let classes = network.logits().unwrap_or(CLASSES);
    network.build(&mut builder, images, classes).unwrap();
    let parameters = builder.parameters().iter();
    parameters
        .map(|parameter| (parameter.name.clone(), parameter.group))
        .collect()
}

//! `client export`, and the graph rewriting behind it.

use equibatch_client::learn::{card::ModelCard, run::RunConfig};
use equibatch_training::{
    graph::{Graph, Op, Shape, TensorType, fuse_bn},
    nn::{Builder, Mode},
    program::{
        DeploySpec, Images, ModelSpec, OPSETS, OnnxModel, Pixels, ResNet, Tensor, deploy, import, inference,
        initial_state,
    },
};
use std::{collections::BTreeMap, fs, path::Path};

use equibatch_client_tests::{
    interpreter::{Array, evaluate},
    onnx_runtime,
};
use equibatch_harness::process::client;

use super::golden;

const SIZE: usize = 32;

fn spec() -> ModelSpec {
    match golden::spec().model {
        ModelSpec::ResNet(network) => ModelSpec::ResNet(ResNet {
            image_size: SIZE,
            ..network
        }),
        other => other,
    }
}

/// A state in which no batch norm is the identity.
fn state() -> BTreeMap<String, Tensor> {
    let mut state = initial_state(&spec(), 3).unwrap();
    for (seed, (name, tensor)) in state.iter_mut().enumerate() {
        let wave = |place: usize| ((seed * 31 + place * 7) as f32 * 0.37).sin();
        let data = tensor.data.iter_mut().enumerate();
        match name.rsplit('.').next() {
            Some("running_var") => data.for_each(|(place, x)| *x = 1.0 + 0.5 * wave(place)),
            Some("running_mean" | "bias") => data.for_each(|(place, x)| *x = 0.3 * wave(place)),
            Some("weight") if tensor.shape.len() == 1 => {
                data.for_each(|(place, x)| *x = 1.0 + 0.4 * wave(place));
            }
            _ => {}
        }
    }
    state
}

fn trained() -> Vec<u8> {
    inference(&spec(), &state(), &[]).unwrap().model
}

fn onnx_model(model: &[u8]) -> OnnxModel {
    let model = import::read(model, &|_| unreachable!("the model is one file")).unwrap();
    OnnxModel::new(model).unwrap()
}

fn images(count: usize) -> Array {
    Array::from_fn(&[count, 3, SIZE, SIZE], |index| {
        let place = index.iter().fold(0, |place, at| place * 37 + at);
        f64::from(((place as f64 * 0.71).sin() * 1.5) as f32)
    })
}

/// The inference graph of a model, with its state.
fn graph(network: &OnnxModel) -> (Graph, BTreeMap<String, Tensor>) {
    let mut graph = Graph::new();
    let images = graph
        .input("images", TensorType::f32([2, 3, SIZE, SIZE]))
        .unwrap();
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let logits = network.build(&mut builder, images, 3).unwrap();
    let state = network.state(&builder, 0);
    graph.output("logits", logits).unwrap();
    (graph, state)
}

fn logits(graph: &Graph, state: &BTreeMap<String, Tensor>) -> Array {
    let array = |tensor: &Tensor| {
        let data = tensor.data.iter().map(|&x| f64::from(x)).collect();
        Array::new(&tensor.shape, data)
    };
    let mut leaves: BTreeMap<String, Array> = state
        .iter()
        .map(|(name, tensor)| (name.clone(), array(tensor)))
        .collect();
    leaves.insert("images".to_owned(), images(2));
    evaluate(graph, &leaves).of(graph.outputs()[0].1).clone()
}

#[test]
fn a_model_is_read_back_as_it_was_written() {
    let (graph, read) = graph(&onnx_model(&trained()));
    assert_eq!(read, state());
    let nodes = |graph: &Graph| {
        graph
            .nodes()
            .iter()
            .map(|node| node.op.clone())
            .collect::<Vec<_>>()
    };
    let mut built = Graph::new();
    let images = built
        .input("images", TensorType::f32([2, 3, SIZE, SIZE]))
        .unwrap();
    let mut builder = Builder::new(&mut built, Mode::Inference);
    let ModelSpec::ResNet(own) = spec() else {
        panic!("a ResNet");
    };
    let features = own.backbone.build(&mut builder, images).unwrap();
    own.head.build(&mut builder, features, 3).unwrap();
    assert_eq!(nodes(&graph), nodes(&built));
}

#[test]
fn folding_leaves_no_batch_norm_and_changes_rounding_only() {
    let (graph, state) = graph(&onnx_model(&trained()));
    let (folded, merged) = fuse_bn::fuse_bn(&graph, &state).unwrap();
    let is_norm = |op: &Op| matches!(op, Op::BatchNormalization(_));
    assert_eq!(graph.nodes().iter().filter(|node| is_norm(&node.op)).count(), 22);
    assert_eq!(folded.nodes().iter().filter(|node| is_norm(&node.op)).count(), 0);
    let (expected, found) = (logits(&graph, &state), logits(&folded, &merged));
    // Folded weights are rounded once more, by 6e-8 each.
    let off = found.distance(&expected) / expected.largest();
    assert!(off < 2e-6, "{off:e}");
}

#[test]
fn a_folded_model_has_no_unused_tensors_and_is_smaller() {
    let network = onnx_model(&trained());
    let [plain, folded] = [false, true].map(|fuse_bn| {
        let spec = DeploySpec {
            classes: 3,
            image_size: SIZE,
            fuse_bn,
            images: Images::F32,
            offsets: &[],
            scale: 1.0,
            opset: 18,
            metadata: &[],
        };
        deploy(&network, &spec).unwrap().model
    });
    assert!(folded.len() < plain.len(), "{} and {}", folded.len(), plain.len());
    let model = import::read(&folded, &|_| unreachable!("one file")).unwrap();
    let is_read = |name: &&String| model.nodes.iter().any(|node| node.inputs.contains(name));
    let unread = model.initializers.keys().filter(|name| !is_read(name));
    assert_eq!(unread.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn a_batch_norm_whose_input_has_other_readers_is_not_folded() {
    let mut g = Graph::new();
    let x = g.input("x", TensorType::f32([1, 2, 3, 3])).unwrap();
    let w = g.parameter("w", [2, 2, 1, 1]).unwrap();
    let names = ["scale", "bias", "mean", "variance"];
    let y = g
        .conv(x, w, equibatch_training::graph::op::Conv2d::square(1, 0))
        .unwrap();
    let [scale, bias, mean, variance] = names.map(|name| g.parameter(name, [2]).unwrap());
    let epsilon = equibatch_training::graph::op::BatchNormalization { epsilon: 0.1 };
    let normal = g
        .batch_normalization([y, scale, bias, mean, variance], epsilon)
        .unwrap();
    let sum = g.add(normal, y).unwrap();
    g.output("sum", sum).unwrap();
    let tensor = |shape: Shape| Tensor::full(shape, 0.5);
    let mut state: BTreeMap<String, Tensor> = names.map(|name| (name.to_owned(), tensor([2].into()))).into();
    state.insert("w".to_owned(), tensor([2, 2, 1, 1].into()));
    let (folded, merged) = fuse_bn::fuse_bn(&g, &state).unwrap();
    assert_eq!(folded.nodes(), g.nodes());
    assert_eq!(merged, state);
}

/// Batch norms folded or not, normalisation inside or not, every operator set, any batch size: the outputs are the same.
#[test]
fn every_export_option_computes_the_same() {
    let network = onnx_model(&trained());
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let pixels = Array::from_fn(&[2, 3, SIZE, SIZE], |index| {
        let place = index.iter().fold(0, |place, at| place * 37 + at);
        (place * 7919 % 256) as f64
    });
    let normal = Array::from_fn(&pixels.shape, |index| {
        let (mean, std) = (f64::from(mean[index[1]]), f64::from(std[index[1]]));
        (pixels.at(index) / 255.0 - mean) / std
    });
    let expected = onnx_runtime::run_model(&trained(), "images", &normal, "logits").unwrap();
    let interleaved = Array::from_fn(&[2, SIZE, SIZE, 3], |at| pixels.at(&[at[0], at[3], at[1], at[2]]));
    for (number, opset) in OPSETS.enumerate() {
        let pixels_inside = |channels_last| Pixels {
            channels_last,
            mean,
            std,
        };
        let (images, input) = match number % 3 {
            0 => (Images::Pixels(pixels_inside(false)), &pixels),
            1 => (Images::Pixels(pixels_inside(true)), &interleaved),
            _ => (Images::F32, &normal),
        };
        let spec = DeploySpec {
            classes: 3,
            image_size: SIZE,
            fuse_bn: number % 2 == 0,
            images,
            offsets: &[],
            scale: 1.0,
            opset,
            metadata: &[],
        };
        let program = deploy(&network, &spec).unwrap();
        let element_type = program.signature.inputs[0].element_type;
        let found =
            onnx_runtime::run_model_on(&program.model, "images", (input, element_type), "logits").unwrap();
        let off = found.distance(&expected) / expected.largest();
        assert!(off < 1e-5, "opset {opset}: {off:e}");
    }
}

#[test]
fn an_export_that_fails_leaves_its_target_and_its_source_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, out) = (path("model.onnx"), path("out.onnx"));
    let config = RunConfig {
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        image_size: SIZE as u32,
        ..RunConfig::default()
    };
    let mut state = state();
    state.get_mut("head.8.weight").unwrap().data[0] = f32::NAN;
    let bytes = inference(&spec(), &state, &ModelCard::metadata(&config))
        .unwrap()
        .model;
    fs::write(&model, &bytes).unwrap();
    fs::write(&out, b"mine").unwrap();
    std::os::unix::fs::symlink(&model, path("link.onnx")).unwrap();
    for (target, code, message) in [
        (&out, 1, "differs from"),
        (&model, 64, "--out"),
        (&path("link.onnx"), 64, "--out"),
    ] {
        let output = client(&["export", "--threads", "1", "--model", &model, "--out", target]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(message), "{errors}");
        assert!(fs::read(&model).unwrap() == bytes);
        assert_eq!(fs::read(&out).unwrap(), b"mine");
    }
}

#[test]
fn models_that_cannot_be_exported_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, out) = (path("plain.onnx"), path("out.onnx"));
    fs::write(&model, trained()).unwrap();
    for (arguments, code, message) in [
        (
            vec!["export", "--model", &*model, "--out", &*out],
            65,
            "no usable `classes`",
        ),
        (
            vec!["export", "--model", "nowhere.onnx", "--out", &*out],
            65,
            "cannot read nowhere.onnx",
        ),
        (
            vec!["export", "nowhere", "--out", &*out],
            65,
            "nowhere contains no run",
        ),
        (
            vec!["export", "nowhere", "--layout", "nhwc", "--out", &*out],
            64,
            "--preprocess u8",
        ),
        (
            vec!["export", "nowhere", "--opset", "12", "--out", &*out],
            64,
            "a whole number from 13 to 23",
        ),
    ] {
        let output = client(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(message), "{errors}");
        assert!(!Path::new(&out).exists());
    }
}

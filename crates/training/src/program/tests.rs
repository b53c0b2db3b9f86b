//! The bytes of exported programs do not change unintentionally. A change that is intended updates the digests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::graph::export::{ExportOptions, export};
use crate::graph::lower::Kernels;
use crate::graph::op::{BatchNormalization, Clip, Conv2d, Gemm};
use crate::graph::{Constant, Op, TensorType, Value};

/// BLAKE3 of a model's graph and metadata, the first 16 hexadecimal digits: not of its producer and IR version, which come first in the file.
fn digest(model: &[u8]) -> String {
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let at = model.windows(version.len()).position(|bytes| bytes == version);
    let at = at.expect("the model has a producer version") + version.len();
    blake3::hash(&model[at..]).to_hex()[..16].to_owned()
}

fn step(backbone: Backbone, precision: Precision, kernels: Kernels) -> String {
    let spec = TrainSpec {
        precision,
        kernels,
        ..TrainSpec::new(ResNet::new(backbone, 3), 4)
    };
    digest(&train_step(&spec).expect("a valid step").model)
}

#[test]
fn programs_of_residual_networks_are_unchanged() {
    let small = Backbone {
        width: 16,
        ..Backbone::RESNET50
    };
    let found = [
        step(Backbone::RESNET18, Precision::F32, Kernels::CpuFused),
        step(Backbone::RESNET34, Precision::F32, Kernels::CpuFused),
        step(small, Precision::F32, Kernels::CpuFused),
        step(Backbone::RESNET18, Precision::F32, Kernels::Cpu),
        step(Backbone::RESNET18, Precision::Bf16, Kernels::Cpu),
        step(Backbone::RESNET18, Precision::F16, Kernels::Cpu),
        step(small, Precision::F32, Kernels::Cpu),
    ];
    assert_eq!(
        found,
        [
            "aea554db164d2ac6",
            "ddbcdfb2d752433b",
            "5aa75729279a78d2",
            "05db7ff9ef106fe3",
            "627232c07278a62d",
            "586e0a87707a9a80",
            "f09a1e317bae78b5"
        ]
    );
}

/// A network with plain, strided, grouped and depthwise convolutions, with and without bias, exported by [`export`] and imported.
fn mixed_network() -> OnnxModel {
    let mut g = Graph::new();
    let mut state = BTreeMap::new();
    let mut parameter = |g: &mut Graph, name: &str, shape: &[usize]| -> Value {
        // Unequal elements, so that the import does not take a copy for each reader.
        let count: usize = shape.iter().product();
        let data = (0..count)
            .map(|number| 0.5 + number as f32 / count as f32)
            .collect();
        let shape = Shape::from(shape);
        state.insert(
            name.to_owned(),
            Tensor {
                shape: shape.clone(),
                data,
            },
        );
        g.parameter(name, shape).expect("a new name")
    };
    let mut x = g.input("x", TensorType::f32([1, 3, 64, 64])).expect("a new name");
    // (output channels, channels per group, kernel, stride, has bias, has norm)
    let layers = [
        (16, 3, 3, 2, false, true),
        (16, 1, 3, 1, false, true),
        (32, 16, 1, 1, true, false),
        (32, 8, 3, 2, true, false),
        (32, 32, 3, 2, false, true),
    ];
    for (number, (channels, inputs, kernel, stride, has_bias, has_norm)) in layers.into_iter().enumerate() {
        let layer = format!("layer{number}");
        let w = parameter(
            &mut g,
            &format!("{layer}.weight"),
            &[channels, inputs, kernel, kernel],
        );
        let mut operands = vec![x, w];
        if has_bias {
            operands.push(parameter(&mut g, &format!("{layer}.bias"), &[channels]));
        }
        let groups = g.shape(x)[1] / inputs;
        x = g
            .scoped(&layer, |g| g.single(conv(stride, kernel / 2, groups), &operands))
            .expect("it fits");
        if has_norm {
            let names = ["scale", "shift", "mean", "variance"];
            let [scale, shift, mean, variance] =
                names.map(|name| parameter(&mut g, &format!("{layer}.norm.{name}"), &[channels]));
            let epsilon = BatchNormalization { epsilon: 1e-5 };
            x = g
                .batch_normalization([x, scale, shift, mean, variance], epsilon)
                .expect("it fits");
        }
        x = g.clip(x, Clip { low: 0.0, high: 6.0 }).expect("it fits");
    }
    let factor = g.constant([1], Constant::F32(vec![0.5])).expect("one element");
    x = g.mul(x, factor).expect("it fits");
    x = g.global_average_pool(x).expect("it fits");
    x = g.flatten(x).expect("it fits");
    let [w, b] = [("head.weight", &[5, 32][..]), ("head.bias", &[5])]
        .map(|(name, shape)| parameter(&mut g, name, shape));
    let gemm = Gemm {
        transpose_b: true,
        ..Gemm::default()
    };
    let logits = g.gemm(x, w, Some(b), gemm).expect("it fits");
    g.output("logits", logits).expect("a new name");
    let options = ExportOptions {
        fixed: Some(&state),
        ..ExportOptions::default()
    };
    let file = export(&g, &options).expect("standard operators");
    let model = import::read(&file, &|_| unreachable!("one file")).expect("a valid file");
    OnnxModel::new(model).expect("a classifier")
}

fn conv(stride: usize, pad: usize, groups: usize) -> Op {
    Op::Conv(Conv2d {
        groups,
        ..Conv2d::square(stride, pad)
    })
}

#[test]
fn programs_of_an_imported_network_are_unchanged() {
    let network = mixed_network();
    let model = ModelSpec::Classifier(Classifier {
        network: Arc::new(network.clone()),
        classes: 5,
        image_size: 64,
    });
    let step = |precision, kernels| {
        let spec = TrainSpec {
            precision,
            kernels,
            ..TrainSpec::new(model.clone(), 4)
        };
        digest(&train_step(&spec).expect("a valid step").model)
    };
    let deployed = |fuse_bn| {
        let spec = DeploySpec {
            classes: 5,
            image_size: 64,
            fuse_bn,
            images: Images::F32,
            offsets: &[],
            scale: 1.0,
            opset: OPSET,
            metadata: &[],
        };
        digest(&deploy(&network, &spec).expect("a valid network").model)
    };
    let state = initial_state(&model, 1).expect("a valid network");
    let found = [
        step(Precision::F32, Kernels::CpuFused),
        step(Precision::F32, Kernels::Cpu),
        step(Precision::Bf16, Kernels::Cpu),
        step(Precision::F16, Kernels::Cpu),
        deployed(false),
        deployed(true),
        digest(&inference(&model, &state, &[]).expect("a valid network").model),
        digest(&grad_cam(&network, 5, 64).expect("a valid network").model),
    ];
    assert_eq!(
        found,
        [
            "f696abcf87b536ca",
            "86195b2536f199f4",
            "860cbbcbe9fcabbd",
            "e54735f1568c5906",
            "b8e8257771b654d9",
            "f6526620a33d21bc",
            "b8e8257771b654d9",
            "a12eaf4edddb32ed"
        ]
    );
}

/// A network of pooled channels `x: f32[1, 3]` and what `tail` makes of them, exported and imported.
fn pooled_network(
    parameters: &[(&str, &[usize])],
    tail: impl FnOnce(&mut Graph, Value, &[Value]) -> Value,
) -> OnnxModel {
    let mut g = Graph::new();
    let mut state = BTreeMap::new();
    let images = g.input("x", TensorType::f32([1, 3, 8, 8])).expect("a new name");
    let x = g.global_average_pool(images).expect("it fits");
    let x = g.flatten(x).expect("it fits");
    let parameters = parameters.iter().map(|(name, shape)| {
        let shape = Shape::from(*shape);
        let data = (1..=shape.elements()).map(|number| number as f32).collect();
        let value = g.parameter(name, shape.clone()).expect("a new name");
        state.insert((*name).to_owned(), Tensor { shape, data });
        value
    });
    let parameters: Vec<Value> = parameters.collect();
    let logits = tail(&mut g, x, &parameters);
    g.output("logits", logits).expect("a new name");
    let options = ExportOptions {
        fixed: Some(&state),
        ..ExportOptions::default()
    };
    let file = export(&g, &options).expect("standard operators");
    let model = import::read(&file, &|_| unreachable!("one file")).expect("a valid file");
    OnnxModel::new(model).expect("a classifier")
}

fn deployed(network: &OnnxModel, offsets: &[f32], scale: f32) -> import::Model {
    let spec = DeploySpec {
        classes: 2,
        image_size: 8,
        fuse_bn: false,
        images: Images::F32,
        offsets,
        scale,
        opset: OPSET,
        metadata: &[],
    };
    let file = deploy(network, &spec).expect("a valid network").model;
    import::read(&file, &|_| unreachable!("one file")).expect("a valid file")
}

#[test]
fn offsets_and_scale_of_the_logits_become_parameters_of_a_linear_last_layer() {
    let gemm = Gemm {
        transpose_b: true,
        ..Gemm::default()
    };
    let of_weight: (&str, &[usize]) = ("head.weight", &[3, 2]);
    let networks = [
        pooled_network(&[("head.weight", &[2, 3]), ("head.bias", &[2])], |g, x, of| {
            g.gemm(x, of[0], Some(of[1]), gemm).expect("it fits")
        }),
        pooled_network(&[("head.weight", &[2, 3])], |g, x, of| {
            g.gemm(x, of[0], None, gemm).expect("it fits")
        }),
        pooled_network(&[of_weight, ("head.bias", &[1, 2])], |g, x, of| {
            let product = g.matmul(x, of[0]).expect("it fits");
            g.add(of[1], product).expect("it fits")
        }),
    ];
    for (network, bias) in networks.iter().zip([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0]]) {
        let [plain, adjusted] = [deployed(network, &[], 1.0), deployed(network, &[0.25, -3.0], 0.5)];
        let operators = |model: &import::Model| {
            let operators = model.nodes.iter().map(|node| node.operator.clone());
            operators.collect::<Vec<_>>()
        };
        assert_eq!(operators(&plain), operators(&adjusted));
        let of = |elements: usize| {
            let mut tensors = adjusted.initializers.values();
            let tensor = tensors.find(|tensor| tensor.shape.elements() == elements);
            tensor.expect("a parameter").floats().expect("floats").to_vec()
        };
        assert_eq!(of(6), [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(of(2), [(bias[0] + 0.25) * 0.5, (bias[1] - 3.0) * 0.5]);
    }
}

/// The bias is not changed where it has another use, or another node follows.
#[test]
fn offsets_are_nodes_without_a_linear_last_layer_of_its_own() {
    let gemm = Gemm {
        transpose_b: true,
        ..Gemm::default()
    };
    let parameters: [(&str, &[usize]); 2] = [("head.weight", &[2, 3]), ("head.bias", &[2])];
    let shared = pooled_network(&parameters, |g, x, of| {
        let first = g.gemm(x, of[0], Some(of[1]), gemm).expect("it fits");
        let first = g.relu(first).expect("it fits");
        let wide = g.matmul(first, of[0]).expect("it fits");
        g.gemm(wide, of[0], Some(of[1]), gemm).expect("it fits")
    });
    let clipped = pooled_network(&parameters, |g, x, of| {
        let logits = g.gemm(x, of[0], Some(of[1]), gemm).expect("it fits");
        g.relu(logits).expect("it fits")
    });
    for network in [shared, clipped] {
        let [plain, adjusted] = [
            deployed(&network, &[], 1.0),
            deployed(&network, &[0.25, -3.0], 0.5),
        ];
        assert_eq!(adjusted.nodes.len(), plain.nodes.len() + 2);
    }
}

use std::collections::BTreeSet;

use equibatch_training::graph::export::OPSET;
use equibatch_training::nn::Backbone;
use equibatch_training::program::{
    Loss, ModelSpec, Program, ResNet, TrainSpec, inference, initial_state, train_step,
};
use prost::Message;

/// The fields of an ONNX model that state its operators; the decoder skips all others.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<ModelGraph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ModelGraph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<ModelNode>,
}

#[derive(Clone, PartialEq, Message)]
struct ModelNode {
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(string, tag = "7")]
    domain: String,
}

fn small() -> ModelSpec {
    ModelSpec::ResNet(ResNet {
        image_size: 64,
        ..ResNet::new(
            Backbone {
                width: 4,
                ..Backbone::RESNET18
            },
            3,
        )
    })
}

fn decoded(program: &Program) -> Model {
    Model::decode(&*program.model).expect("the exporter writes protobuf")
}

fn operators(model: &Model) -> BTreeSet<&str> {
    model
        .graph
        .iter()
        .flat_map(|graph| &graph.node)
        .map(|node| &*node.op_type)
        .collect()
}

#[test]
fn programs_use_standard_operators_only() {
    let state = initial_state(&small(), 1).expect("a valid model");
    let train = decoded(&train_step(&TrainSpec::new(small(), 4)).expect("a valid step"));
    let predict = decoded(&inference(&small(), &state, &[]).expect("a valid model"));
    for model in [&train, &predict] {
        assert_eq!(
            model.opset_import,
            [Opset {
                domain: String::new(),
                version: OPSET
            }]
        );
        assert!(
            model
                .graph
                .iter()
                .flat_map(|graph| &graph.node)
                .all(|node| node.domain.is_empty())
        );
    }
    // Every operator must be supported by all execution providers that we support, so additions must be deliberate.
    assert_eq!(
        operators(&train),
        BTreeSet::from(TRAIN_OPERATORS),
        "the operators of a training step changed"
    );
    assert_eq!(
        operators(&predict),
        BTreeSet::from([
            "Add",
            "BatchNormalization",
            "Concat",
            "Conv",
            "Flatten",
            "Gemm",
            "GlobalAveragePool",
            "MaxPool",
            "Relu",
            "Softmax"
        ])
    );
}

const TRAIN_OPERATORS: [&str; 32] = [
    "Add",
    "BatchNormalization",
    "Cast",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Div",
    "Expand",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "Greater",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Neg",
    "Pad",
    "Reciprocal",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "ScatterElements",
    "Slice",
    "Softmax",
    "Sqrt",
    "Sub",
    "Sum",
    "Transpose",
    "Where",
];

#[test]
fn options_of_a_step_add_few_operators() {
    let spec = TrainSpec {
        loss: Loss::soft_cross_entropy("logits", "targets", 2.0),
        clip_norm: Some(1.0),
        average: true,
        ..TrainSpec::new(small(), 4)
    };
    let train = decoded(&train_step(&spec).expect("a valid step"));
    let plain = BTreeSet::from(TRAIN_OPERATORS);
    let added: BTreeSet<&str> = operators(&train).difference(&plain).copied().collect();
    assert_eq!(added, BTreeSet::from(["Exp", "Log"]));
}

#[test]
fn names_in_a_program_are_unique_and_follow_the_layers() {
    let train = decoded(&train_step(&TrainSpec::new(small(), 4)).expect("a valid step"));
    let nodes = train.graph.expect("a graph").node;
    let names: BTreeSet<&str> = nodes.iter().map(|node| &*node.name).collect();
    assert_eq!(names.len(), nodes.len());
    let outputs: Vec<&String> = nodes.iter().flat_map(|node| &node.output).collect();
    assert_eq!(outputs.iter().collect::<BTreeSet<_>>().len(), outputs.len());
    for name in [
        "layer1.0.conv1/Conv",
        "grad/layer1.0/ReluGradient/Where",
        "adamw/layer1.0.conv1.weight/Sub",
    ] {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let spec = TrainSpec::new(small(), 4);
    let [first, second] = [(); 2].map(|()| train_step(&spec).expect("a valid step"));
    assert!(first.model == second.model);
    assert_eq!(first.signature, second.signature);
}

#[test]
fn only_the_batch_norms_of_a_frozen_backbone_are_trained() {
    let spec = TrainSpec::new(small(), 4).freeze_layers(2);
    let signature = train_step(&spec).expect("a valid step").signature;
    let changes = |name: &str| {
        let pair = signature
            .state
            .iter()
            .find(|pair| pair.name == name)
            .expect("it is in the state");
        pair.output.is_some()
    };
    assert!(!changes("layer1.0.conv1.weight"));
    assert!(changes("layer1.0.bn1.weight"));
    assert!(changes("layer1.0.bn1.running_mean"));
    assert!(changes("head.4.weight"));
    assert!(
        !signature
            .state
            .iter()
            .any(|pair| pair.name == "first_moment.layer1.0.conv1.weight")
    );
}

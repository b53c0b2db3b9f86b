//! Fused programs compute the same as unfused ones.

use std::collections::{BTreeMap, BTreeSet};

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_client_tests::onnx_runtime;
use equibatch_training::graph::fuse::fuse;
use equibatch_training::graph::{Fused, Graph, Op};
use equibatch_training::nn::{Backbone, Block};
use equibatch_training::program::{
    Head, ModelSpec, ResNet, Role, Signature, TrainSpec, inference, initial_state, train_graph,
};

use super::cases::{Fill, filled};
use crate::onnx::{self, depthwise, exported};

/// A small network whose channels are multiples of sixteen.
fn spec(block: Block, depths: [usize; 4], frozen_groups: usize) -> TrainSpec {
    let backbone = Backbone {
        block,
        depths,
        width: 16,
    };
    let head = match block {
        Block::Basic => Head::Fastai {
            hidden: 8,
            dropout: [0.25, 0.5],
        },
        Block::Bottleneck => Head::Plain,
    };
    let model = ModelSpec::ResNet(ResNet {
        head,
        // Feature maps of 17, 9, 5, 3 and 2 rows and columns.
        image_size: 33,
        ..ResNet::new(backbone, 3)
    });
    TrainSpec::new(model, 3).freeze_layers(frozen_groups)
}

fn specs() -> Vec<TrainSpec> {
    let small = TrainSpec::new(
        ModelSpec::ResNet(ResNet {
            image_size: 32,
            ..ResNet::new(
                Backbone {
                    width: 4,
                    ..Backbone::RESNET18
                },
                2,
            )
        }),
        2,
    );
    vec![
        spec(Block::Basic, [2, 1, 1, 1], 0),
        spec(Block::Bottleneck, [1, 1, 1, 1], 0),
        spec(Block::Basic, [1, 1, 1, 1], 2),
        // Channels are no multiples of sixteen: only the update is fused.
        small,
        // Layer norms and GELUs.
        TrainSpec::new(exported::spec("vit", 3), 2),
        TrainSpec::new(depthwise::padded_after(), 2),
        // Norms of running statistics, before convolutions that are trained and in a body that is not.
        TrainSpec::new(depthwise::padded_after(), 2).freeze_norms(),
        spec(Block::Bottleneck, [1, 1, 1, 1], 2).freeze_norms(),
        expanding(),
    ]
}

/// With a body that is not trained, and whose depthwise convolution computes what it reads.
fn expanding() -> TrainSpec {
    TrainSpec::new(depthwise::expanding(), 2)
        .freeze_norms()
        .freeze_layers(2)
}

/// Values for all inputs and state of a step.
fn leaves(spec: &TrainSpec, signature: &Signature) -> BTreeMap<String, Array> {
    let state = initial_state(&spec.model, 5).expect("a valid model");
    let pairs = signature.state.iter().map(|pair| {
        let array = match pair.role {
            Role::Optimizer if pair.name.starts_with("second_moment.") => {
                filled(&pair.shape, Fill::Positive, 6)
            }
            Role::Optimizer => filled(&pair.shape, Fill::Any, 7),
            _ => {
                let data = state[&pair.name].data.iter().map(|&number| f64::from(number));
                Array::new(&pair.shape, data.collect())
            }
        };
        (pair.input.clone(), array)
    });
    let inputs = signature.inputs.iter().map(|input| {
        let array = match &*input.name {
            // Each row sums to one.
            "targets" => Array::from_fn(&input.shape, |at| f64::from(u8::from(at[1] == at[0] % 2))),
            "images" => filled(&input.shape, Fill::Any, 8),
            _ => filled(&input.shape, Fill::Positive, 9),
        };
        (input.name.clone(), array)
    });
    pairs.chain(inputs).collect()
}

fn interpreted(graph: &Graph, leaves: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let evaluation = evaluate(graph, leaves);
    let outputs = graph.outputs().iter();
    outputs
        .map(|(name, value)| (name.clone(), evaluation.of(*value).clone()))
        .collect()
}

/// Number of nodes of each fused operator.
fn counts(graph: &Graph) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for node in graph.nodes() {
        if let Op::Fused(fused) = &node.op {
            *counts.entry(fused.name()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn fusing_preserves_all_outputs() {
    let mut used = BTreeSet::new();
    for spec in specs() {
        let (graph, signature) = train_graph(&spec).expect("a valid step");
        let fused = fuse(&graph).expect("every operator fits");
        used.extend(counts(&fused).into_keys());
        let leaves = leaves(&spec, &signature);
        let (expected, found) = (interpreted(&graph, &leaves), interpreted(&fused, &leaves));
        assert_eq!(found.len(), expected.len());
        for (name, found) in &found {
            let distance = found.distance(&expected[name]) / expected[name].largest().max(1e-30);
            assert!(distance < 1e-9, "{name} is off by {distance:e} in {spec:?}");
        }
    }
    let of_cpus = Fused::all().into_iter().filter(|fused| !fused.is_of_cudnn());
    let all: BTreeSet<&str> = of_cpus.map(|fused| fused.name()).collect();
    assert_eq!(used, all, "every fused operator is covered");
}

#[test]
fn layer_norms_and_gelus_of_a_transformer_are_one_node_each() {
    // Of operator set 18, which has no GELU; the file that we export has no layer norm either.
    let original = exported::spec("timm_swin", 3);
    let state = initial_state(&original, 0).expect("a state");
    let ours = inference(&original, &state, &[]).expect("a program");
    for (file, spec) in [("PyTorch's", original), ("ours", onnx::spec(&ours.model))] {
        let (graph, _) = train_graph(&TrainSpec::new(spec, 2)).expect("a valid step");
        let written_out = graph.nodes().iter().filter(|node| node.op == Op::Erf);
        assert_eq!(written_out.count(), 3, "{file}");
        let counts = counts(&fuse(&graph).expect("every operator fits"));
        // Each GELU is computed again for the gradient of the next layer's weight.
        assert_eq!((counts["Gelu"], counts["GeluGradient"]), (6, 3), "{file}");
        assert_eq!(
            (counts["LayerNorm"], counts["LayerNormGradient"]),
            (9, 9),
            "{file}"
        );
    }
}

/// A residual network's backbone has no unfused operators, and nothing is computed twice.
#[test]
fn a_residual_network_is_fused_completely() {
    let spec = spec(Block::Basic, [3, 4, 6, 3], 0);
    let (graph, _) = train_graph(&spec).expect("a valid step");
    let parameters = 36 + 2 * 36 + 2 * 2 + 2 * 2;
    let expected = BTreeMap::from([
        ("Conv", 36),
        ("ConvInputGradient", 35),
        ("ConvWeightGradient", 36),
        ("Affine", 36),
        // The output of each block.
        ("Normalize", 16),
        // The head's gradient, and the second batch norm of each block with a projection.
        ("Arrive", 4),
        ("BatchNormGradient", 36),
        ("MaxPool", 1),
        ("MaxPoolGradient", 1),
        // To the head and from it.
        ("FromBlocks", 1),
        ("ToBlocks", 1),
        ("AdamW", parameters),
    ]);
    assert_eq!(counts(&fuse(&graph).expect("every operator fits")), expected);

    // No weight gradients are computed for a frozen backbone.
    let (graph, _) = train_graph(&spec.freeze_layers(2)).expect("a valid step");
    let found = counts(&fuse(&graph).expect("every operator fits"));
    assert_eq!(found.get("ConvWeightGradient"), None);
    assert_eq!(found["ConvInputGradient"], 35);
}

/// The network amplifies rounding errors, so the fused operators' error is compared with that of the standard ones.
#[test]
fn fused_steps_are_as_accurate_as_standard_ones() {
    let residual = |frozen_groups| spec(Block::Basic, [2, 1, 1, 1], frozen_groups);
    for spec in [residual(0), residual(2), expanding()] {
        let (graph, signature) = train_graph(&spec).expect("a valid step");
        let fused = fuse(&graph).expect("every operator fits");
        let leaves = leaves(&spec, &signature);
        let expected = interpreted(&graph, &leaves);
        let [standard, ours] = [&graph, &fused]
            .map(|graph| onnx_runtime::run(graph, &leaves).unwrap_or_else(|error| panic!("{error:?}")));
        let error = |found: &Array, name: &str| {
            let expected = &expected[name];
            found.distance(expected) / expected.largest().max(1e-30)
        };
        for (name, found) in &ours {
            let (ours, theirs) = (error(found, name), error(&standard[name], name));
            assert!(
                ours <= 4.0 * theirs + 2e-5,
                "{name} is off by {ours:e}, with standard operators by {theirs:e}, in {spec:?}"
            );
        }
    }
}

#[test]
fn a_fused_step_does_not_depend_on_the_number_of_threads() {
    let spec = spec(Block::Basic, [1, 1, 1, 1], 0);
    let (graph, signature) = train_graph(&spec).expect("a valid step");
    let fused = fuse(&graph).expect("every operator fits");
    let leaves = leaves(&spec, &signature);
    let run = |threads| {
        onnx_runtime::run_with_threads(&fused, &leaves, threads).unwrap_or_else(|error| panic!("{error:?}"))
    };
    let expected = run(1);
    // The head's matrix multiplications are ONNX Runtime's and could depend on the number of threads, but not at this size.
    assert!(run(2) == expected && run(3) == expected);
}

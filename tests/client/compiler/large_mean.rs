//! Numerical stability of batch norms whose mean is far larger than the standard deviation.

use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_client_tests::onnx_runtime;
use equibatch_training::autodiff::gradients;
use equibatch_training::graph::fuse::fuse;
use equibatch_training::graph::op::{BatchNormalization, Conv2d, Reduce};
use equibatch_training::graph::{Fused, Graph, Op, TensorType};

use super::cases::{Fill, filled};

const SHAPE: [usize; 4] = [8, 16, 12, 10];

/// An identity convolution, a batch norm and a loss; output, statistics and gradients are graph outputs.
fn graph() -> Graph {
    let channels = SHAPE[1];
    let mut g = Graph::new();
    let images = g.input("x", TensorType::f32(SHAPE)).expect("a new name");
    let kernel = g
        .parameter("kernel", [channels, channels, 1, 1])
        .expect("a new name");
    let [scale, bias] = ["scale", "bias"].map(|name| g.parameter(name, [channels]).expect("a new name"));
    let weights = g.input("weights", TensorType::f32(SHAPE)).expect("a new name");
    let conv = Op::Conv(Conv2d::square(1, 0));
    let x = g.single(conv, &[images, kernel]).expect("channels fit");
    let attributes = BatchNormalization { epsilon: 1e-5 };
    let [y, mean, variance] = g.batch_norm(x, scale, bias, attributes).expect("channels fit");
    let weighted = g.mul(y, weights).expect("one shape");
    let all = Reduce {
        axes: vec![0, 1, 2, 3],
        keep_axes: false,
    };
    let loss = g.reduce_sum(weighted, all).expect("four axes");
    let gradients = gradients(&mut g, loss, &[x, scale, bias]).expect("rules");
    let outputs = [y, mean, variance].into_iter().chain(gradients);
    for (name, value) in ["y", "mean", "variance", "dx", "dscale", "dbias"]
        .into_iter()
        .zip(outputs)
    {
        g.output(name, value).expect("a new name");
    }
    g
}

/// Inputs with the given mean and a standard deviation of one in each channel.
fn leaves(mean: f64) -> BTreeMap<String, Array> {
    let noise = filled(&SHAPE, Fill::Any, 1);
    let x = Array::from_fn(&SHAPE, |at| f64::from((mean + 1.7 * noise.at(at)) as f32));
    let kernel = Array::from_fn(&[SHAPE[1], SHAPE[1], 1, 1], |at| {
        f64::from(u8::from(at[0] == at[1]))
    });
    let named = [
        ("x", x),
        ("kernel", kernel),
        ("scale", filled(&[SHAPE[1]], Fill::Positive, 2)),
        ("bias", filled(&[SHAPE[1]], Fill::Any, 3)),
        ("weights", filled(&SHAPE, Fill::Any, 4)),
    ];
    named
        .into_iter()
        .map(|(name, array)| (name.to_owned(), array))
        .collect()
}

#[test]
fn a_mean_of_a_thousand_standard_deviations_loses_no_precision() {
    let standard = graph();
    let fused = fuse(&standard).expect("every operator fits");
    let is_fused =
        |node: &equibatch_training::graph::Node| matches!(node.op, Op::Fused(Fused::BatchNormGradient(_)));
    assert!(fused.nodes().iter().any(is_fused));
    for mean in [0.0, -1e3, 1e3] {
        let leaves = leaves(mean);
        let expected = evaluate(&standard, &leaves);
        for (way, graph) in [("standard", &standard), ("fused", &fused)] {
            let found = onnx_runtime::run(graph, &leaves).expect("it runs");
            for (name, value) in standard.outputs() {
                let expected = expected.of(*value);
                let off = found[name].distance(expected) / expected.largest();
                assert!(off < 1e-4, "{way}, mean {mean}: {name} is off by {off:e}");
            }
        }
    }
}

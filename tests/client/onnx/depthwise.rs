//! Networks of depthwise convolutions on operators of our own.

use equibatch_client_tests::{
    model_file::{
        Attribute::{Int, Ints},
        ModelFile,
    },
    onnx_runtime,
};
use equibatch_training::{
    graph::{Fused, Op, fuse::fuse},
    program::{ModelSpec, TrainSpec, inference, initial_state, train_graph},
};

use super::{BATCH, CLASSES, SIZE, images, spec};

/// How an exporter writes what TensorFlow pads after an image of even extent, where a stride of two leaves a row and a column.
#[derive(Clone, Copy, PartialEq)]
enum Padding {
    /// As much before: of the convolution.
    Even,
    /// Attributes of the convolution.
    Attributes,
    /// A Pad operator before it.
    Operator,
}

/// Channels, channels of a group, kernel, stride, whether ReLU6 follows.
type Layer = (i64, i64, i64, i64, bool);

/// Convolutions with batch norms and ReLU6, some of them depthwise, for 24, 40 and 48 channels.
fn inverted_residuals(padding: Padding) -> ModelSpec {
    let layers = [
        (24, 3, 3, 2, true),
        (24, 1, 3, 2, true),
        (40, 24, 1, 1, false),
        (48, 40, 1, 1, true),
    ];
    network(layers, padding)
}

/// With a depthwise convolution of more channels than those before and after it have.
pub(crate) fn expanding() -> ModelSpec {
    let layers = [
        (24, 3, 3, 2, false),
        (40, 24, 1, 1, true),
        (40, 1, 3, 2, true),
        (48, 40, 1, 1, true),
    ];
    network(layers, Padding::Attributes)
}

fn network(layers: [Layer; 4], padding: Padding) -> ModelSpec {
    let mut file = ModelFile::new(SIZE as i64)
        .floats("low", &[], vec![0.0])
        .floats("high", &[], vec![6.0])
        .integers("pads", &[0, 0, 0, 0, 0, 0, 1, 1]);
    let mut x = "pixels".to_owned();
    for (number, (channels, inputs, kernel, stride, has_relu)) in layers.into_iter().enumerate() {
        let name = |part: &str| format!("{number}.{part}");
        let norm = ["scale", "shift", "mean", "variance"].map(name);
        file = file.weights(&name("weight"), &[channels, inputs, kernel, kernel]);
        for parameter in &norm {
            file = file.floats(
                parameter,
                &[channels],
                vec![1.0 + number as f32; channels as usize],
            );
        }
        let groups = if inputs == 1 { channels } else { 1 };
        let pads = match padding {
            Padding::Attributes if stride == 2 => [0, 0, 1, 1],
            Padding::Operator if stride == 2 => [0; 4],
            _ => [kernel / 2; 4],
        };
        if padding == Padding::Operator && stride == 2 {
            file = file.node("Pad", &[&x, "pads"], &[&name("pad")], &[]);
            x = name("pad");
        }
        let window = [
            Ints("pads", &pads),
            Ints("strides", &[stride; 2]),
            Int("group", groups),
        ];
        let [scale, shift, mean, variance] = &norm;
        file = file
            .node("Conv", &[&x, &name("weight")], &[&name("conv")], &window)
            .node(
                "BatchNormalization",
                &[&name("conv"), scale, shift, mean, variance],
                &[&name("norm")],
                &[],
            );
        x = name("norm");
        if has_relu {
            file = file.node("Clip", &[&x, "low", "high"], &[&name("clip")], &[]);
            x = name("clip");
        }
    }
    let file = file
        .weights("fc.weight", &[CLASSES as i64, 48])
        .weights("fc.bias", &[CLASSES as i64])
        .node("GlobalAveragePool", &[&x], &["pooled"], &[])
        .node("Flatten", &["pooled"], &["flat"], &[])
        .node(
            "Gemm",
            &["flat", "fc.weight", "fc.bias"],
            &["scores"],
            &[Int("transB", 1)],
        );
    spec(&file.bytes())
}

/// With strides of two whose padding is only after the image.
pub(crate) fn padded_after() -> ModelSpec {
    inverted_residuals(Padding::Operator)
}

/// A network of inverted residual blocks changes its layout at the images and the head, and nowhere else.
#[test]
fn a_network_of_depthwise_convolutions_is_fused_completely() {
    for padding in [Padding::Even, Padding::Attributes, Padding::Operator] {
        let (graph, _) = train_graph(&TrainSpec::new(inverted_residuals(padding), BATCH)).unwrap();
        let fused = fuse(&graph).unwrap();
        let count =
            |is_wanted: &dyn Fn(&Op) -> bool| fused.nodes().iter().filter(|node| is_wanted(&node.op)).count();
        assert_eq!(count(&|op| matches!(op, Op::Fused(Fused::Conv { .. }))), 4);
        assert_eq!(
            count(&|op| matches!(op, Op::Fused(Fused::ConvInputGradient { .. }))),
            3
        );
        assert_eq!(
            count(&|op| matches!(op, Op::Fused(Fused::ConvWeightGradient { .. }))),
            4
        );
        assert_eq!(count(&|op| matches!(op, Op::Fused(Fused::FromBlocks))), 1);
        assert_eq!(count(&|op| matches!(op, Op::Fused(Fused::ToBlocks))), 1);
        assert_eq!(
            count(&|op| matches!(op, Op::Conv(_) | Op::Clip(_) | Op::Composite(_) | Op::Where)),
            1
        );
    }
}

/// What only a depthwise convolution reads is not kept; in a backward pass others read it, too.
#[test]
fn an_expansion_is_computed_by_the_depthwise_convolution_that_reads_it() {
    let spec = TrainSpec::new(expanding(), BATCH).freeze_norms();
    for (spec, expected) in [(spec.clone(), 0), (spec.freeze_layers(2), 1)] {
        let (graph, _) = train_graph(&spec).unwrap();
        let fused = fuse(&graph).unwrap();
        let expanded = |op: &Op| matches!(op, Op::Fused(Fused::ExpandedConv { .. }));
        let found = fused.nodes().iter().filter(|node| expanded(&node.op));
        assert_eq!(found.count(), expected);
    }
}

#[test]
fn padding_by_an_operator_is_that_of_the_convolution_after_it() {
    let logits = |padding| {
        let model = inverted_residuals(padding);
        let file = inference(&model, &initial_state(&model, 3).unwrap(), &[]).unwrap();
        onnx_runtime::run_model(&file.model, "images", &images(), "logits").unwrap()
    };
    let [even, attributes, operator] = [Padding::Even, Padding::Attributes, Padding::Operator].map(logits);
    assert_eq!(attributes, operator);
    assert_ne!(even, operator);
}

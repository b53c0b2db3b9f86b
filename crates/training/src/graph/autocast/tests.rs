use super::*;
use crate::graph::op::{BatchNormalization, Conv2d, Reduce};
use crate::graph::{Composite, Graph, Op, TensorType, Value};

/// `relu(batch norm(conv(x)) + x)`, its mean per channel, and the graph.
fn block() -> (Graph, [Value; 3]) {
    let mut graph = Graph::new();
    let g = &mut graph;
    let x = g.input("x", TensorType::f32([2, 4, 5, 5])).expect("an input");
    let w = g.parameter("w", [4, 4, 3, 3]).expect("a parameter");
    let [scale, bias] = ["scale", "bias"].map(|name| g.parameter(name, [4]).expect("a parameter"));
    let conv = Op::Conv(Conv2d::square(1, 1));
    let y = g.single(conv, &[x, w]).expect("it fits");
    let norm = BatchNormalization { epsilon: 1e-5 };
    let [y, _, _] = g.batch_norm(y, scale, bias, norm).expect("it fits");
    let half = g.scalar(0.5);
    let y = g.mul(y, half).expect("it fits");
    let active = g.relu(y).expect("it fits");
    let sum = g.add(active, x).expect("it fits");
    let reduce = Reduce {
        axes: vec![0, 2, 3],
        keep_axes: false,
    };
    let mean = g.reduce_mean(sum, reduce).expect("it fits");
    g.output("mean", mean).expect("an output");
    (graph, [active, sum, mean])
}

fn types(low: &Autocast, values: &[Value]) -> Vec<ElementType> {
    let mapped = |value: &Value| low.mapped[value.index()].0;
    let of = |value| low.graph.tensor_type(mapped(value)).element_type;
    values.iter().map(of).collect()
}

#[test]
fn half_precision_starts_at_a_convolution_and_ends_at_a_sum_with_single_precision() {
    use ElementType::{Bf16, F16, F32};
    let (graph, values) = block();
    for (format, half) in [(Format::F16, F16), (Format::Bf16, Bf16)] {
        let low = autocast(&graph, format).expect("it can be rewritten");
        // The batch norm casts its output, the scalar product and ReLU propagate; x is in single precision, and so is the sum with it.
        assert_eq!(types(&low, &values), [half, F32, F32]);
        let norms = low.graph.nodes().iter();
        let mut norms = norms.filter(|node| matches!(node.op, Op::Composite(Composite::BatchNorm(_))));
        let norm = norms.next().expect("the batch norm");
        assert!(
            norm.inputs
                .iter()
                .all(|&operand| low.graph.tensor_type(operand).element_type == F32)
        );
    }
}

#[test]
fn inputs_parameters_and_outputs_keep_their_types() {
    let (graph, [active, ..]) = block();
    let mut low = autocast(&graph, Format::F16).expect("it can be rewritten");
    for name in ["x", "w", "scale", "bias"] {
        let [before, after] = [&graph, &low.graph].map(|graph| {
            let value = graph.named(name).expect("a leaf");
            graph.tensor_type(value).clone()
        });
        assert_eq!(before, after, "{name}");
    }
    let (name, mean) = low.graph.outputs()[0].clone();
    assert_eq!(
        (&*name, low.graph.tensor_type(mean)),
        ("mean", &TensorType::f32([4]))
    );
    let wide = low.of(active).expect("floats convert");
    assert_eq!(low.graph.tensor_type(wide), graph.tensor_type(active));
}

#[test]
fn a_bias_is_ignored_by_propagation_and_a_scale_is_not() {
    let mut graph = Graph::new();
    let g = &mut graph;
    let x = g.input("x", TensorType::f32([2, 3])).expect("an input");
    let w = g.parameter("w", [3, 4]).expect("a parameter");
    let b = g.parameter("b", [4]).expect("a parameter");
    let product = g.matmul(x, w).expect("it fits");
    let row = g.reshape(b, [1, 4].into()).expect("as many");
    let [with_bias, scaled] = [g.add(product, row), g.mul(product, b)].map(|result| result.expect("it fits"));
    let low = autocast(&graph, Format::Bf16).expect("it can be rewritten");
    assert_eq!(
        types(&low, &[product, with_bias, scaled]),
        [ElementType::Bf16, ElementType::Bf16, ElementType::F32]
    );
}

#[test]
fn equal_casts_are_merged_and_cancelling_casts_are_removed() {
    use ElementType::{Bf16, F16, F32};
    let mut graph = Graph::new();
    let g = &mut graph;
    let x = g.input("x", TensorType::f32([3])).expect("an input");
    let mut chain = |from: Value, types: &[ElementType]| {
        let link = |value, &to: &ElementType| g.cast(value, to).expect("floats convert");
        types.iter().fold(from, link)
    };
    let results = [
        ("once", chain(x, &[F16])),
        ("again", chain(x, &[F16])),
        ("rounded", chain(x, &[F16, F32])),
        ("back", chain(x, &[F16, F32, F16])),
        ("same", chain(x, &[F32])),
        ("across", chain(x, &[F16, F32, Bf16])),
        ("twice", chain(x, &[Bf16, F16])),
    ];
    for (name, value) in results {
        graph.output(name, value).expect("an output");
    }
    let merged = merge_casts(&graph).expect("it can be rewritten");
    let of = |wanted: &str| {
        let found = merged.outputs().iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| *value).expect("an output")
    };
    assert_eq!([of("again"), of("back")], [of("once"); 2]);
    assert_eq!(Some(of("same")), merged.named("x"));
    // x → f16, that → f32 and → bf16; x → bf16, that → f16.
    assert_eq!(merged.nodes().len(), 5);
    for (name, value) in graph.outputs() {
        assert_eq!(merged.tensor_type(of(name)), graph.tensor_type(*value), "{name}");
    }
}

//! Mixed precision: the interpreter, which rounds half-precision values only, compared with the same network in single precision.

use std::collections::BTreeMap;

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_client_tests::onnx_runtime;
use equibatch_training::autodiff::gradients;
use equibatch_training::graph::autocast::{Format, autocast, merge_casts};
use equibatch_training::graph::op::{BatchNormalization, Conv2d, Gemm, MaxPool2d, Reduce};
use equibatch_training::graph::{
    ElementType, Graph, Op, Shape, TensorType, Value,
    lower::{Kernels, lower},
};
use equibatch_training::nn::Backbone;
use equibatch_training::program::{ModelSpec, Precision, ResNet, Role, TrainSpec, parts_graphs, train_graph};

use super::cases::{Fill, filled};

const FORMATS: [Format; 2] = [Format::F16, Format::Bf16];

/// A network with every kind of layer that autocast handles; its loss is the sum of the squared logits.
pub(super) struct Network {
    pub(super) graph: Graph,
    loss: Value,
    logits: Value,
    parameters: Vec<(String, Value)>,
}

impl Network {
    /// On images of 3 channels, of 8 × 8 pixels.
    pub(super) fn new() -> Self {
        let mut graph = Graph::new();
        let g = &mut graph;
        let mut parameters = vec![];
        let mut parameter = |g: &mut Graph, name: &str, shape: &[usize]| {
            let value = g.parameter(name, shape).expect("a new name");
            parameters.push((name.to_owned(), value));
            value
        };
        let conv = |stride, pad| Op::Conv(Conv2d::square(stride, pad));
        let fits = "it fits";
        let x = g.input("x", TensorType::f32([4, 3, 8, 8])).expect("an input");
        let w = parameter(g, "first", &[6, 3, 3, 3]);
        let x = g.single(conv(1, 1), &[x, w]).expect(fits);
        let [scale, bias] = ["scale", "shift"].map(|name| parameter(g, name, &[6]));
        let norm = BatchNormalization { epsilon: 1e-5 };
        let [x, _, _] = g.batch_norm(x, scale, bias, norm).expect(fits);
        let x = g.relu(x).expect(fits);
        let pool = MaxPool2d {
            kernel: [3, 3],
            stride: [2, 2],
            pad: [1, 1],
        };
        let [short, _] = g.max_pool(x, pool).expect(fits);
        let w = parameter(g, "strided", &[6, 6, 3, 3]);
        let x = g.single(conv(2, 1), &[x, w]).expect(fits);
        let b = parameter(g, "bias", &[6]);
        let b = g.reshape(b, Shape::from([6, 1, 1])).expect(fits);
        let x = g.add(x, b).expect(fits);
        let w = parameter(g, "grouped", &[6, 2, 3, 3]);
        let grouped = Conv2d {
            groups: 3,
            ..Conv2d::square(1, 1)
        };
        let x = g.conv(x, w, grouped).expect(fits);
        let x = g.add(x, short).expect(fits);
        let gate = g.sigmoid(x).expect(fits);
        let x = g.mul(x, gate).expect(fits);
        let x = g.global_average_pool(x).expect(fits);
        let x = g.flatten(x).expect(fits);
        let (w, b) = (parameter(g, "linear", &[5, 6]), parameter(g, "offset", &[5]));
        let gemm = Gemm {
            transpose_a: false,
            transpose_b: true,
        };
        let logits = g.gemm(x, w, Some(b), gemm).expect(fits);
        let all = Reduce {
            axes: vec![0, 1],
            keep_axes: false,
        };
        let loss = g.reduce_sum_square(logits, all).expect(fits);
        Self {
            graph,
            loss,
            logits,
            parameters,
        }
    }

    /// The same in mixed precision.
    fn low(&self, format: Format) -> Self {
        let mut low = autocast(&self.graph, format).expect("it can be rewritten");
        let mut of = |value| low.of(value).expect("floats convert");
        let (loss, logits) = (of(self.loss), of(self.logits));
        let parameters = self.parameters.iter();
        let parameters = parameters
            .map(|(name, value)| (name.clone(), of(*value)))
            .collect();
        Self {
            graph: low.graph,
            loss,
            logits,
            parameters,
        }
    }

    /// With its gradients as outputs, and redundant casts removed.
    pub(super) fn differentiated(mut self) -> Graph {
        let wrt: Vec<Value> = self.parameters.iter().map(|(_, value)| *value).collect();
        let gradients = gradients(&mut self.graph, self.loss, &wrt).expect("everything has a gradient");
        for ((name, _), gradient) in self.parameters.iter().zip(gradients) {
            let name = format!("gradient.{name}");
            self.graph.output(&name, gradient).expect("a new name");
        }
        self.graph.output("logits", self.logits).expect("a new name");
        merge_casts(&self.graph).expect("it can be rewritten")
    }

    /// In mixed precision, with gradients.
    pub(super) fn half(format: Format) -> Graph {
        Self::new().low(format).differentiated()
    }

    fn leaves(&self) -> BTreeMap<String, Array> {
        let x = ("x".to_owned(), filled(&[4, 3, 8, 8], Fill::Any, 1));
        let of = |(seed, (name, value)): (u64, &(String, Value))| {
            (name.clone(), filled(self.graph.shape(*value), Fill::Any, seed))
        };
        (2..).zip(&self.parameters).map(of).chain([x]).collect()
    }
}

fn outputs(graph: &Graph, leaves: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let evaluation = evaluate(graph, leaves);
    let of = |(name, value): &(String, Value)| (name.clone(), evaluation.of(*value).clone());
    graph.outputs().iter().map(of).collect()
}

fn norm(array: &Array) -> f64 {
    array.dot(array).sqrt()
}

/// `‖found − expected‖ / ‖expected‖`.
fn error(found: &Array, expected: &Array) -> f64 {
    let pairs = found.data.iter().zip(&expected.data);
    let squares: f64 = pairs.map(|(found, expected)| (found - expected).powi(2)).sum();
    squares.sqrt() / norm(expected)
}

/// In norm, n independent rounding errors of up to ε add up to `√(n/3)·ε`: ten roundings on the path to the logits, `1.8 ε`, and ten more
/// on the path back to a weight, `2.6 ε`. Gradients before the pooling also differ where rounding changed which element of a window is the
/// maximum.
#[test]
fn half_precision_stays_within_its_rounding_errors() {
    let leaves = Network::new().leaves();
    let expected = outputs(&Network::new().differentiated(), &leaves);
    for format in FORMATS {
        let found = outputs(&Network::half(format), &leaves);
        for (name, expected) in &expected {
            let bound = match &**name {
                "logits" => 2.0,
                "gradient.first" | "gradient.scale" | "gradient.shift" => 16.0,
                _ => 3.0,
            };
            let error = error(&found[name], expected);
            assert!(error <= bound * format.epsilon(), "{format:?} {name}: {error:e}");
            // Something is rounded at all.
            assert!(error > format.epsilon() / 16.0, "{format:?} {name}: {error:e}");
        }
    }
}

/// The intermediate roundings of a decomposition are smaller than one rounding of the output.
#[test]
fn lowering_mixed_precision_preserves_outputs() {
    let leaves = Network::new().leaves();
    for format in FORMATS {
        let graph = Network::half(format);
        let expected = outputs(&graph, &leaves);
        let lowered = lower(&graph, Kernels::Cpu).expect("every composite can be lowered");
        let found = outputs(&lowered, &leaves);
        for (name, expected) in &expected {
            let error = error(&found[name], expected);
            assert!(error <= format.epsilon(), "{format:?} {name}: {error:e}");
        }
    }
}

/// ONNX Runtime's CPU provider has few half-precision kernels and computes in single precision between roundings.
#[test]
fn onnx_runtime_runs_half_precision_as_the_interpreter_does() {
    let leaves = Network::new().leaves();
    let graph = Network::half(Format::F16);
    let expected = outputs(&graph, &leaves);
    let found = onnx_runtime::run(&graph, &leaves).expect("it runs");
    for (name, expected) in &expected {
        let error = error(&found[name], expected);
        assert!(error <= 4.0 * Format::F16.epsilon(), "{name}: {error:e}");
    }
}

/// It has no bfloat16 kernels, but reports that only after all types were checked.
#[test]
fn bfloat16_is_a_valid_model() {
    let leaves = Network::new().leaves();
    if let Err(error) = onnx_runtime::run(&Network::half(Format::Bf16), &leaves) {
        let message = error.to_string();
        assert!(message.contains("Could not find an implementation"), "{message}");
    }
}

fn spec(precision: Precision) -> TrainSpec {
    let backbone = Backbone {
        width: 4,
        ..Backbone::RESNET18
    };
    let model = ModelSpec::ResNet(ResNet {
        image_size: 32,
        ..ResNet::new(backbone, 3)
    });
    TrainSpec {
        precision,
        clip_norm: Some(1.0),
        average: true,
        ..TrainSpec::new(model, 4)
    }
}

#[test]
fn a_step_keeps_all_of_its_state_in_single_precision() {
    for precision in [Precision::F16, Precision::Bf16] {
        let format = precision.format().expect("half precision").element_type();
        let whole = train_graph(&spec(precision)).expect("a valid step");
        let [part, update] = parts_graphs(&spec(precision)).expect("a valid step");
        for (graph, signature) in [&whole, &part, &update] {
            let outputs = graph.outputs().iter().map(|(_, value)| value);
            let state = signature.state.iter().map(|pair| graph.named(&pair.input));
            let state = state.map(|value| value.expect("a leaf"));
            for value in outputs.copied().chain(state) {
                assert_eq!(graph.tensor_type(value).element_type, ElementType::F32);
            }
        }
        let (graph, _) = &whole;
        let convolutions = graph.nodes().iter();
        let convolutions = convolutions.filter(|node| matches!(node.op, Op::Conv(_)));
        let types = convolutions.map(|node| graph.tensor_type(node.inputs[0]).element_type);
        assert!(types.clone().count() == 20 && { types }.all(|found| found == format));
    }
}

#[test]
fn tf32_is_the_same_program_as_f32() {
    let [one, other] = [Precision::F32, Precision::Tf32].map(|precision| {
        let (graph, signature) = train_graph(&spec(precision)).expect("a valid step");
        (graph.nodes().to_vec(), signature)
    });
    assert!(one == other);
}

#[test]
fn every_step_outputs_is_finite_and_only_scaled_losses_have_a_scale() {
    for precision in [Precision::F32, Precision::Tf32, Precision::Bf16, Precision::F16] {
        let is_scaled = precision == Precision::F16;
        let (_, whole) = train_graph(&spec(precision)).expect("a valid step");
        let [(_, part), (_, update)] = parts_graphs(&spec(precision)).expect("a valid step");
        for signature in [&whole, &part, &update] {
            let has_scale = signature.inputs.iter().any(|input| input.name == "loss_scale");
            assert_eq!(has_scale, is_scaled, "{precision}");
        }
        for (signature, tells) in [(&whole, true), (&part, false), (&update, true)] {
            let found = signature.outputs.iter().any(|output| output.name == "is_finite");
            assert_eq!(found, tells, "{precision}");
        }
        let staged = |signature: &[equibatch_training::program::StatePair]| {
            signature.iter().filter(|pair| pair.role == Role::Staged).count()
        };
        // 22 batch norms with two statistics each, staged until the update.
        let expected = [0, 44, 44];
        assert_eq!(
            [&whole, &part, &update].map(|program| staged(&program.state)),
            expected
        );
    }
}

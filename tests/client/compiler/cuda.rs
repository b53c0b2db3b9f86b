//! Checks all programs against the documented kernels of ONNX Runtime's CUDA execution provider: no node may fall back to the CPU.
//!
//! # Source
//! The CUDA section of ONNX Runtime's `docs/OperatorKernels.md`, generated from the registered kernels, for operator set 18.

use equibatch_training::graph::autocast::Format;
use equibatch_training::graph::export::OPSET;
use equibatch_training::graph::{
    Composite, ElementType, Graph, Op, TensorType,
    fuse::fuse,
    lower::{Kernels, lower},
};
use equibatch_training::nn::{Backbone, Builder, Mode, Pixels};
use equibatch_training::program::{
    Head, Images, Loss, Precision, ResNet, TrainSpec, parts_graphs, train_graph,
};

use super::autocast::Network;

use ElementType::{Bf16, Bool, F16, F32, I64, U8};

/// An operand or output of a node, by position.
#[derive(Clone, Copy, PartialEq)]
enum Port {
    Operand(usize),
    Output(usize),
}

const ALL: &[ElementType] = &[F32, F16, Bf16, U8, I64, Bool];
const FLOATS: &[ElementType] = &[F32, F16, Bf16];
const F32_F16: &[ElementType] = &[F32, F16];

/// The element types for which the provider has a kernel; none if it lacks the operator.
fn documented(op: &Op, port: Port) -> &'static [ElementType] {
    match (op, port) {
        (Op::Where, Port::Operand(0)) | (Op::Greater | Op::Equal, Port::Output(_)) => &[Bool],
        (Op::And | Op::Or | Op::Not, _) => &[Bool],
        (Op::Where, _) => &[F32, F16, Bf16, I64, U8],
        (Op::Greater | Op::Equal | Op::Max | Op::Min, _) => &[F32, F16, I64],
        (Op::MaxPool(_), Port::Output(1))
        | (Op::ScatterElementsAdd | Op::Gather(_), Port::Operand(1))
        | (Op::OneHot(_), Port::Operand(_)) => &[I64],
        (Op::MaxPool(_), _) => &[F32, F16, U8],
        // Documented for all types, but before microsoft/onnxruntime#29879 sums of types other than float were wrong.
        (Op::ScatterElementsAdd, _) => &[F32],
        (Op::OneHot(_), _) => &[F32, F16, I64],
        (Op::Add | Op::Sub | Op::Mul | Op::Div | Op::ReduceSum(_), _) => &[F32, F16, Bf16, I64],
        (Op::Neg | Op::Sqrt | Op::Exp | Op::Relu | Op::Sigmoid | Op::Tanh | Op::Erf, _) => FLOATS,
        (Op::Sum | Op::MatMul | Op::Gemm(_) | Op::Softmax, _) => FLOATS,
        (Op::Softplus | Op::Reciprocal | Op::Log | Op::LogSoftmax | Op::Clip(_), _) => F32_F16,
        (Op::ReduceMean(_) | Op::ReduceSumSquare(_) | Op::ReduceMax(_) | Op::GlobalAveragePool, _) => F32_F16,
        (Op::Conv(_) | Op::ConvTranspose(_), _) => F32_F16,
        (Op::BatchNormalization(_), _) => F32_F16,
        (Op::Pad(_), _) => &[F32, F16, Bool],
        (Op::Cast(_) | Op::Reshape(_) | Op::Flatten | Op::Transpose(_) | Op::Expand(_), _) => ALL,
        (Op::Concat(_) | Op::Split(_) | Op::Slice(_) | Op::Gather(_) | Op::Flip(_), _) => ALL,
        // Registered by our runtime for these.
        (Op::Fused(fused), _) if fused.is_of_cudnn() => F32_F16,
        (Op::Composite(_) | Op::Fused(_), _) => &[],
    }
}

/// Descriptions of the nodes without a kernel.
fn unsupported(graph: &Graph) -> Vec<String> {
    let mut unsupported = vec![];
    for node in graph.nodes() {
        let operands = (0..).map(Port::Operand).zip(node.inputs.iter().copied());
        let results = (0..).map(Port::Output).zip(node.outputs());
        for (port, value) in operands.chain(results) {
            let found = graph.tensor_type(value).element_type;
            if !documented(&node.op, port).contains(&found) {
                unsupported.push(format!("{:?} with {found}", node.op));
            }
        }
    }
    unsupported
}

fn resnet() -> ResNet {
    let backbone = Backbone {
        width: 16,
        ..Backbone::RESNET18
    };
    ResNet {
        image_size: 64,
        ..ResNet::new(backbone, 3)
    }
}

fn spec() -> TrainSpec {
    for_cuda(resnet())
}

fn for_cuda(model: ResNet) -> TrainSpec {
    TrainSpec {
        kernels: Kernels::Cuda,
        ..TrainSpec::new(model, 4)
    }
}

#[test]
fn every_node_of_a_step_has_a_cuda_kernel() {
    assert_eq!(OPSET, 18, "the table is for this operator set");
    let plain_head = ResNet {
        head: Head::Plain,
        ..resnet()
    };
    let deep = ResNet {
        backbone: Backbone::RESNET50,
        ..resnet()
    };
    let pixels = Pixels {
        channels_last: true,
        mean: [0.5; 3],
        std: [0.25; 3],
    };
    let resnet34 = ResNet {
        backbone: Backbone::RESNET34,
        ..resnet()
    };
    let variants = [
        spec(),
        for_cuda(resnet34),
        for_cuda(plain_head),
        for_cuda(deep),
        spec().freeze_layers(2),
        TrainSpec {
            loss: Loss::soft_cross_entropy("logits", "targets", 2.0),
            clip_norm: Some(1.0),
            average: true,
            ..spec()
        },
        TrainSpec {
            images: Images::F16,
            ..spec()
        },
        TrainSpec {
            images: Images::Pixels(pixels),
            ..spec()
        },
    ];
    for spec in variants {
        for precision in [Precision::F32, Precision::Tf32, Precision::F16, Precision::Bf16] {
            let spec = TrainSpec {
                precision,
                ..spec.clone()
            };
            let (step, _) = train_graph(&spec).expect("a valid step");
            let [(part, _), (update, _)] = parts_graphs(&spec).expect("a valid step");
            for graph in [step, part, update] {
                assert_eq!(unsupported(&lowered(&graph)), [] as [&str; 0], "{spec:?}");
                let by_cudnn = lower(&graph, Kernels::CudaFused).expect("lowered");
                assert_eq!(unsupported(&by_cudnn), [] as [&str; 0], "{spec:?}");
            }
        }
    }
}

fn lowered(graph: &Graph) -> Graph {
    let lowered = lower(graph, Kernels::Cuda).expect("lowered to standard operators");
    assert!(!lowered.nodes().is_empty());
    lowered
}

#[test]
fn every_node_of_an_imported_network_has_a_cuda_kernel() {
    for format in [Format::F16, Format::Bf16] {
        let graph = lowered(&Network::half(format));
        assert_eq!(unsupported(&graph), [] as [&str; 0], "{format:?}");
    }
}

#[test]
fn every_node_of_inference_has_a_cuda_kernel() {
    let mut graph = Graph::new();
    let images = graph
        .input("images", TensorType::f32([4, 3, 64, 64]))
        .expect("an input");
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let features = Backbone::RESNET34.build(&mut builder, images).expect("they fit");
    let logits = Head::default()
        .build(&mut builder, features, 3)
        .expect("they fit");
    graph.softmax(logits).expect("it fits");
    assert_eq!(unsupported(&lowered(&graph)), [] as [&str; 0]);
}

/// cuDNN computes every convolution in single precision, and its gradient by the input; the gradients by the weights are as many matrix multiplications.
#[test]
fn convolutions_and_their_gradients_are_one_operator_each_on_cuda() {
    let (step, _) = train_graph(&spec()).expect("a valid step");
    let count = |graph: &Graph, is_counted: fn(&Op) -> bool| {
        graph.nodes().iter().filter(|node| is_counted(&node.op)).count()
    };
    let convolutions = count(&step, |op| matches!(op, Op::Conv(_)));
    let input_gradients = count(&step, |op| {
        matches!(op, Op::Composite(Composite::ConvInputGradient { .. }))
    });
    let products = count(&step, |op| matches!(op, Op::MatMul | Op::Gemm(_)));
    let on_cuda = lowered(&step);
    assert_eq!(count(&on_cuda, |op| matches!(op, Op::Conv(_))), convolutions);
    assert_eq!(
        count(&on_cuda, |op| matches!(op, Op::ConvTranspose(_))),
        input_gradients
    );
    assert_eq!(
        count(&on_cuda, |op| matches!(op, Op::MatMul | Op::Gemm(_))),
        products + convolutions
    );
}

/// By operators of our own, both gradients of a convolution are one node each, in half precision also. bfloat16 is decomposed.
#[test]
fn gradients_of_convolutions_are_one_operator_of_cudnn_each() {
    for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
        let (step, _) = train_graph(&TrainSpec { precision, ..spec() }).expect("a valid step");
        let is_gradient = |op: &Op| {
            matches!(
                op,
                Op::Composite(Composite::ConvInputGradient { .. } | Composite::ConvWeightGradient { .. })
            )
        };
        let gradients = step.nodes().iter().filter(|node| is_gradient(&node.op)).count();
        let by_cudnn = lower(&step, Kernels::CudaFused).expect("lowered");
        let ours = by_cudnn
            .nodes()
            .iter()
            .filter(|node| matches!(node.op, Op::Fused(_)));
        let is_decomposed = precision == Precision::Bf16;
        assert_eq!(ours.count(), if is_decomposed { 0 } else { gradients });
        let is_transposed = by_cudnn
            .nodes()
            .iter()
            .any(|node| matches!(node.op, Op::ConvTranspose(_)));
        assert!(is_decomposed || !is_transposed, "{precision}");
    }
}

/// The nodes that check, clip and apply gradients work on a vector for each group of settings. Only reshaping, and what joins and divides the vectors, knows
/// of parameters.
#[test]
fn an_update_has_as_many_nodes_for_any_number_of_parameters() {
    let nodes = |blocks: Backbone, kernels: Kernels| {
        let backbone = Backbone { width: 16, ..blocks };
        let spec = TrainSpec {
            clip_norm: Some(1.0),
            kernels,
            ..TrainSpec::new(ResNet { backbone, ..resnet() }, 4)
        };
        let [_, (update, _)] = parts_graphs(&spec).expect("a valid step");
        let lowered = lower(&update, kernels).expect("lowered");
        let computing = lowered
            .nodes()
            .iter()
            .filter(|node| !matches!(node.op, Op::Reshape(_)));
        computing.count()
    };
    let [small, large] = [Backbone::RESNET18, Backbone::RESNET34].map(|of| nodes(of, Kernels::Cuda));
    assert_eq!(small, large);
    assert!(small < 90, "{small} nodes");
    assert!(nodes(Backbone::RESNET34, Kernels::Cpu) > 1000);
}

/// Guards against a table that accepts everything.
#[test]
fn unlowered_bfloat16_has_no_cuda_kernels() {
    let (step, _) = train_graph(&TrainSpec {
        precision: Precision::Bf16,
        ..spec()
    })
    .expect("a valid step");
    let unlowered = unsupported(&step);
    assert!(
        unlowered
            .iter()
            .any(|node| node.starts_with("MaxPool(") && node.ends_with("with bf16")),
        "{unlowered:?}"
    );
}

#[test]
fn fused_operators_have_no_cuda_kernel() {
    let (step, _) = train_graph(&spec()).expect("a valid step");
    let fused = lower(&fuse(&step).expect("it fits"), Kernels::CpuFused).expect("the rest is lowered");
    assert!(
        unsupported(&fused).iter().any(|node| node.starts_with("Fused(")),
        "nothing was fused"
    );
}

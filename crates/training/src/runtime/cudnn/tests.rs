use std::collections::BTreeMap;

use ort::value::TensorElementType;

use super::convolution::Convolution;
use super::library::{cudnn, load};
use super::plan::{Gradient, Plan};
use crate::graph::export::{ExportOptions, export};
use crate::graph::lower::{Kernels, lower};
use crate::graph::op::Conv2d;
use crate::graph::{Composite, Graph, Op, Shape, Tensor};
use crate::program::{ElementType, Program, Role, Signature, StatePair, ValueInfo};
use crate::runtime::{Runtime, SessionOptions, StepRunner};

/// Shapes of x and w, and the convolution: plain, strided with rows that no window covers, dilated, grouped, depthwise.
fn convolutions() -> [(Conv2d, [usize; 4], [usize; 4]); 5] {
    let grouped = |groups, stride| Conv2d {
        groups,
        ..Conv2d::square(stride, 1)
    };
    let dilated = Conv2d {
        dilation: [2, 1],
        stride: [1, 2],
        ..Conv2d::square(1, 2)
    };
    [
        (Conv2d::square(1, 1), [2, 3, 6, 5], [4, 3, 3, 3]),
        (Conv2d::square(2, 1), [2, 3, 8, 7], [5, 3, 3, 3]),
        (dilated, [1, 2, 7, 6], [3, 2, 3, 2]),
        (grouped(2, 2), [2, 4, 6, 6], [6, 2, 3, 3]),
        (grouped(6, 1), [2, 6, 5, 5], [6, 1, 3, 3]),
    ]
}

/// The shape of the convolution's result.
fn result((conv, [n, _, h, w], [k, _, r, s]): (Conv2d, [usize; 4], [usize; 4])) -> [usize; 4] {
    let [rows, columns] = conv.positions([h, w], [r, s]).expect("it fits");
    [n, k, rows, columns]
}

fn filled(shape: [usize; 4], seed: f32) -> Tensor {
    let shape = Shape::from(shape);
    let data = (0..shape.elements()).map(|at| (at as f32 * 0.7 + seed).sin());
    Tensor {
        data: data.collect(),
        shape,
    }
}

/// Both gradients of a convolution, lowered for `kernels` and computed on the CPU.
fn gradients(case: (Conv2d, [usize; 4], [usize; 4]), kernels: Kernels) -> [Vec<f32>; 2] {
    let (conv, x, w) = case;
    let values = [
        ("x", filled(x, 0.1)),
        ("w", filled(w, 0.2)),
        ("dy", filled(result(case), 0.3)),
    ];
    let mut graph = Graph::new();
    let [x, w, dy] = [0, 1, 2].map(|at| {
        let (name, tensor) = &values[at];
        graph.parameter(name, tensor.shape.clone()).expect("a new name")
    });
    let extent = [2, 3].map(|axis| graph.shape(x)[axis]);
    let kernel = [2, 3].map(|axis| graph.shape(w)[axis]);
    let of_input = Op::Composite(Composite::ConvInputGradient { conv, extent });
    let of_weight = Op::Composite(Composite::ConvWeightGradient { conv, kernel });
    let dx = graph.single(of_input, &[w, dy]).expect("it fits");
    let dw = graph.single(of_weight, &[x, dy]).expect("it fits");
    let mut outputs = vec![];
    for (name, value) in [("dx", dx), ("dw", dw)] {
        graph.output(name, value).expect("a new name");
        outputs.push(ValueInfo {
            name: name.to_owned(),
            element_type: ElementType::F32,
            shape: graph.shape(value).clone(),
        });
    }
    let state = values.iter().map(|(name, tensor)| StatePair {
        name: (*name).to_owned(),
        input: (*name).to_owned(),
        output: None,
        is_in_place: false,
        shape: tensor.shape.clone(),
        role: Role::Parameter,
        members: vec![],
    });
    let signature = Signature {
        state: state.collect(),
        outputs,
        ..Signature::default()
    };
    let lowered = lower(&graph, kernels).expect("it can be lowered");
    let ours = lowered
        .nodes()
        .iter()
        .filter(|node| matches!(node.op, Op::Fused(_)));
    assert_eq!(ours.count(), if kernels == Kernels::CudaFused { 2 } else { 0 });
    let model = export(&lowered, &ExportOptions::default()).expect("a model");
    let program = Program { model, signature };
    let runtime = Runtime::load().expect("ONNX Runtime is installed: `make runtime`");
    let options = SessionOptions::default();
    let mut runner = StepRunner::new(&runtime, "the gradients", &program, &options).expect("a session");
    let values: BTreeMap<String, Tensor> = values
        .into_iter()
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .collect();
    let mut device = runner.upload(values).expect("room");
    runner.step(&mut device).expect("a run");
    ["dx", "dw"].map(|name| runner.output(name).expect("an output").to_vec())
}

#[test]
fn the_twins_compute_what_standard_operators_do() {
    for case in convolutions() {
        let [standard, twin] = [Kernels::Cuda, Kernels::CudaFused].map(|kernels| gradients(case, kernels));
        for (expected, found) in standard.iter().zip(&twin) {
            assert_eq!(expected.len(), found.len());
            for (expected, found) in expected.iter().zip(found) {
                assert!(
                    (expected - found).abs() <= 1e-5,
                    "{case:?}: {found}, not {expected}"
                );
            }
        }
    }
}

/// Needs no device. Where cuDNN is not installed, the reason names its file.
#[test]
fn cudnn_accepts_the_descriptions_where_it_is_installed() {
    if let Err(reason) = cudnn() {
        assert!(reason.contains("cudnn"), "{reason}");
        return;
    }
    for case in convolutions() {
        let (conv, x, w) = case;
        let y = result(case);
        let signed = |shape: [usize; 4]| shape.map(|extent| i64::try_from(extent).expect("it is small"));
        let convolution = Convolution::new(conv, &signed(x), &signed(w), &signed(y)).expect("it fits");
        for gradient in [Gradient::Input, Gradient::Weight] {
            for math in [TensorElementType::Float32, TensorElementType::Float16].map(|of| (of, false)) {
                Plan::new(gradient, convolution, math).expect("a plan");
            }
        }
        let [n, k, rows, columns] = convolution.y;
        let wrong = Convolution {
            y: [n, k, rows + 1, columns],
            ..convolution
        };
        let math = (TensorElementType::Float32, true);
        let error = Plan::new(Gradient::Input, wrong, math)
            .map(|_| ())
            .expect_err("another shape");
        assert!(
            error.message().contains("cuDNN computes results of shape"),
            "{error}"
        );
    }
}

#[test]
fn a_library_that_is_missing_is_an_error_that_names_it() {
    let message = load("libcudnn-missing.so").map(|_| ()).expect_err("missing");
    assert!(message.contains("libcudnn-missing.so"), "{message}");
}

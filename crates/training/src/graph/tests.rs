use std::collections::BTreeMap;

use super::export::{ExportOptions, export};
use super::op::{Conv2d, MaxPool2d, Reduce, Relu, Slice};
use super::*;

fn float(g: &mut Graph, name: &str, shape: &[usize]) -> Value {
    g.input(name, TensorType::f32(shape)).expect("a new name")
}

fn infer_error(error: Error) -> InferError {
    match error {
        Error::Wiring { source, .. } => source,
        other => panic!("{other}"),
    }
}

#[test]
fn invalid_operands_are_rejected_when_a_node_is_added() {
    let mut g = Graph::new();
    let image = float(&mut g, "image", &[1, 3, 8, 8]);
    let matrix = float(&mut g, "matrix", &[4, 5]);
    let labels = g
        .input("labels", TensorType::new(ElementType::I64, [4]))
        .expect("a new name");
    let weight = float(&mut g, "weight", &[2, 4, 3, 3]);
    let before = g.nodes().len();

    let (left, right) = (Shape::from([4, 5]), Shape::from([1, 3, 8, 8]));
    assert_eq!(
        g.add(matrix, image).map_err(infer_error),
        Err(InferError::Broadcast { left, right })
    );
    let (expected, found) = (ElementType::F32, ElementType::I64);
    assert_eq!(
        g.exp(labels).map_err(infer_error),
        Err(InferError::ElementType {
            operand: 0,
            expected,
            found
        })
    );
    let (expected, found) = (Shape::from([2, 3, 3, 3]), Shape::from([2, 4, 3, 3]));
    let wrong_channels = g.conv(image, weight, Conv2d::square(1, 1)).map_err(infer_error);
    assert_eq!(
        wrong_channels,
        Err(InferError::Shape {
            operand: 1,
            expected,
            found
        })
    );
    assert_eq!(
        g.global_average_pool(matrix).map_err(infer_error),
        Err(InferError::Rank {
            operand: 0,
            expected: 4,
            found: 2
        })
    );
    assert_eq!(
        g.push(Op::Add, &[matrix]).map_err(infer_error),
        Err(InferError::Arity {
            expected: 2,
            found: 1
        })
    );
    assert_eq!(g.nodes().len(), before, "a rejected node is not added");
}

#[test]
fn invalid_attributes_are_rejected() {
    let mut g = Graph::new();
    let x = float(&mut g, "x", &[1, 2, 3, 3]);
    let whole_border = MaxPool2d {
        kernel: [2, 2],
        stride: [1, 1],
        pad: [2, 2],
    };
    let refused = [
        g.max_pool(x, whole_border).map(|_| x),
        g.reduce_sum(
            x,
            Reduce {
                axes: vec![4],
                keep_axes: false,
            },
        ),
        g.reduce_sum(
            x,
            Reduce {
                axes: vec![1, 1],
                keep_axes: false,
            },
        ),
        g.transpose(x, &[0, 1, 2, 2]),
        g.reshape(x, Shape::from([5])),
        g.slice(
            x,
            Slice {
                starts: vec![0; 4],
                ends: vec![1, 2, 3, 4],
                steps: vec![1; 4],
            },
        ),
        g.slice(
            x,
            Slice {
                starts: vec![0; 4],
                ends: vec![1, 2, 3, 3],
                steps: vec![1, 1, 0, 1],
            },
        ),
        g.flip(x, &[7]),
    ];
    for refused in refused {
        assert!(matches!(
            refused.map_err(infer_error),
            Err(InferError::Attribute { .. })
        ));
    }
}

#[test]
fn an_error_names_operator_scope_and_shapes() {
    let mut g = Graph::new();
    let (a, b) = (float(&mut g, "a", &[2]), float(&mut g, "b", &[3]));
    let error = g
        .scoped("layer1", |g| g.scoped("act", |g| g.mul(a, b)))
        .expect_err("2 and 3");
    let expected = r#"cannot wire Mul in `layer1/act` to operands ["f32[2]", "f32[3]"]"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn duplicate_names_are_rejected() {
    let mut g = Graph::new();
    let x = float(&mut g, "x", &[2]);
    let taken = Error::DuplicateName { name: "x".to_owned() };
    assert_eq!(g.parameter("x", [2]), Err(taken));
    g.output("y", x).expect("a new name");
    assert_eq!(
        g.output("y", x),
        Err(Error::DuplicateName { name: "y".to_owned() })
    );
}

#[test]
fn constants_match_their_shape_and_equal_scalars_are_one_value() {
    let mut g = Graph::new();
    let (shape, elements) = (Shape::from([3]), 2);
    let short = g.constant([3], Constant::F32(vec![1.0, 2.0]));
    assert_eq!(short, Err(Error::ConstantSize { shape, elements }));
    assert_eq!(g.scalar(0.5), g.scalar(0.5));
    assert_ne!(g.scalar(0.0), g.scalar(-0.0), "they differ under division");
}

#[test]
fn dead_nodes_are_not_exported() {
    let with = |is_used: bool| {
        let mut g = Graph::new();
        let x = float(&mut g, "x", &[2]);
        let unused = g.exp(x).expect("a float");
        let y = g.neg(x).expect("a float");
        g.output("y", if is_used { unused } else { y })
            .expect("a new name");
        String::from_utf8_lossy(&export(&g, &ExportOptions::default()).expect("no composites")).into_owned()
    };
    assert!(with(true).contains("Exp"));
    assert!(!with(false).contains("Exp"));
}

#[test]
fn composites_are_rejected_by_export_until_lowered() {
    let mut g = Graph::new();
    let (y, dy) = (float(&mut g, "y", &[2]), float(&mut g, "dy", &[2]));
    let dx = g.relu_gradient(y, dy, Relu::UNBOUNDED).expect("one shape");
    g.output("dx", dx).expect("a new name");
    let refused = export(&g, &ExportOptions::default());
    assert_eq!(
        refused,
        Err(Error::NotLowered {
            operator: "ReluGradient"
        })
    );
    let lowered = lower::lower(&g, lower::Kernels::Cpu).expect("it can be decomposed");
    assert!(export(&lowered, &ExportOptions::default()).is_ok());
}

#[test]
fn a_fixed_parameter_must_match_its_shape() {
    let mut g = Graph::new();
    let p = g.parameter("p", [2, 2]).expect("a new name");
    let y = g.exp(p).expect("a float");
    g.output("y", y).expect("a new name");
    let fixed = BTreeMap::from([("p".to_owned(), Tensor::full([3], 1.0))]);
    let refused = export(
        &g,
        &ExportOptions {
            fixed: Some(&fixed),
            ..ExportOptions::default()
        },
    );
    let expected = Error::ParameterSize {
        name: "p".to_owned(),
        shape: Shape::from([2, 2]),
        elements: 3,
    };
    assert_eq!(refused, Err(expected));
}

#[test]
fn an_output_that_is_an_input_is_copied_by_an_identity() {
    let mut g = Graph::new();
    let x = float(&mut g, "x", &[2]);
    g.output("y", x).expect("a new name");
    let written = export(&g, &ExportOptions::default()).expect("no composites");
    assert!(String::from_utf8_lossy(&written).contains("Identity"));
}

//! Which tensors of a file are trained.

use equibatch_client_tests::{
    model_file::{Attribute::Int, ModelFile},
    onnx_runtime,
};
use equibatch_training::program::{inference, initial_state};

use super::{CLASSES, SIZE, after_a_step, around, images, network, spec, trained};
use crate::golden::error;

fn names(bytes: &[u8]) -> Vec<String> {
    trained(&network(bytes))
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

/// A batch norm before all other layers is trained, and so is a tensor multiplied with its output.
#[test]
fn a_batch_norm_may_be_the_first_layer() {
    let file = ModelFile::new(SIZE as i64)
        .weights("scale", &[3])
        .weights("shift", &[3])
        .weights("mean", &[3])
        .floats("variance", &[3], vec![0.5, 0.7, 1.1])
        .weights("other", &[3, 1, 1])
        .weights("fc.weight", &[CLASSES as i64, 3])
        .node(
            "BatchNormalization",
            &["pixels", "scale", "shift", "mean", "variance"],
            &["normal"],
            &[],
        )
        .node("Mul", &["normal", "other"], &["scaled"], &[])
        .node("GlobalAveragePool", &["scaled"], &["pooled"], &[])
        .node("Flatten", &["pooled"], &["flat"], &[])
        .node("Gemm", &["flat", "fc.weight"], &["scores"], &[Int("transB", 1)]);
    let bytes = file.bytes();
    assert_eq!(names(&bytes), ["scale", "shift", "other", "fc.weight"]);
    let trained = after_a_step(&spec(&bytes), "batch norm");
    let start = initial_state(&spec(&bytes), 0).unwrap();
    for name in ["scale", "shift", "mean", "variance", "other"] {
        assert!(trained[name] != start[name], "{name}");
    }
}

/// A weight that several nodes read is one parameter; each batch norm has statistics of its own.
#[test]
fn weights_may_be_shared() {
    let operands = ["scale", "shift", "mean", "variance"];
    let middle = |file: ModelFile| {
        let norm = |file: ModelFile, from: &str, to: &str| {
            let inputs = [&[from], &operands[..]].concat();
            file.node("BatchNormalization", &inputs, &[to], &[])
        };
        let file = file
            .weights("scale", &[4])
            .weights("shift", &[4])
            .weights("mean", &[4])
            .floats("variance", &[4], vec![0.5, 0.7, 1.1, 1.3])
            .weights("kernel", &[4, 4, 1, 1])
            .node("Conv", &["x", "kernel"], &["a"], &[]);
        let file = norm(file, "a", "b").node("Conv", &["b", "kernel"], &["c"], &[]);
        norm(file, "c", "y")
    };
    let bytes = around(middle, 4).bytes();
    let expected = [
        "stem.weight",
        "stem.bias",
        "kernel",
        "scale",
        "shift",
        "fc.weight",
        "fc.bias",
    ];
    assert_eq!(names(&bytes), expected);
    let trained = after_a_step(&spec(&bytes), "shared");
    assert!(trained["mean"] != trained["mean#2"]);
    let own = inference(&spec(&bytes), &trained, &[]).unwrap();
    assert!(initial_state(&spec(&own.model), 0).unwrap() == trained);
}

/// Exporters merge tensors that are equal: in a fresh network, every scale and every shift.
#[test]
fn merged_equal_tensors_are_trained_separately() {
    let middle = |file: ModelFile| {
        let norm = |file: ModelFile, from: &str, [scale, shift]: [&str; 2], to: &str| {
            let inputs = [from, scale, shift, "zeros", "ones"];
            file.node("BatchNormalization", &inputs, &[to], &[])
        };
        let file = file
            .floats("ones", &[4], vec![1.0; 4])
            .floats("zeros", &[4], vec![0.0; 4])
            .node("Identity", &["ones"], &["second.scale"], &[])
            .node("Identity", &["zeros"], &["second.shift"], &[]);
        let file = norm(file, "x", ["ones", "zeros"], "a");
        norm(file, "a", ["second.scale", "second.shift"], "y")
    };
    let bytes = around(middle, 4).bytes();
    let trained = after_a_step(&spec(&bytes), "merged");
    // The first and third copies are parameters, the second and fourth are statistics.
    let expected = [
        "stem.weight",
        "stem.bias",
        "ones",
        "zeros",
        "ones#3",
        "zeros#3",
        "fc.weight",
        "fc.bias",
    ];
    assert_eq!(names(&bytes), expected);
    for merged in ["ones", "zeros"] {
        let [first, second] = [2, 4].map(|number| &trained[&format!("{merged}#{number}")]);
        assert!(first != second, "{merged}: {first:?}");
    }
}

/// A tensor of shape [1] that meets a parameter is trained; a scalar constant is not.
#[test]
fn one_element_tensors_are_trained_if_they_have_an_axis() {
    let middle = |file: ModelFile| {
        file.floats("slope", &[1], vec![0.25])
            .floats("scale", &[1], vec![0.5])
            .floats("two", &[], vec![2.0])
            .node("Identity", &["slope"], &["other slope"], &[])
            .node("PRelu", &["x", "slope"], &["a"], &[])
            .node("PRelu", &["a", "other slope"], &["b"], &[])
            .node("Mul", &["b", "scale"], &["c"], &[])
            .node("Mul", &["c", "two"], &["y"], &[])
    };
    let bytes = around(middle, 4).bytes();
    let expected = [
        "stem.weight",
        "stem.bias",
        "slope",
        "slope#2",
        "scale",
        "fc.weight",
        "fc.bias",
    ];
    assert_eq!(names(&bytes), expected);
    let [start, trained] = [
        initial_state(&spec(&bytes), 0).unwrap(),
        after_a_step(&spec(&bytes), "numbers"),
    ];
    for name in ["slope", "slope#2", "scale"] {
        assert!(trained[name] != start[name], "{name}");
    }
}

/// Constants that a file computes from constants.
#[test]
fn constants_are_computed_at_import() {
    let folded = |file: ModelFile| {
        file.floats("zero", &[], vec![0.0])
            .floats("one", &[], vec![1.0])
            .floats("eight", &[], vec![8.0])
            .floats("two", &[], vec![2.0])
            .integers("numbers", &[6, 5])
            .integers("three", &[3])
            .integers("nothing", &[0])
            .integers("flat", &[1, 3])
            .integers("column", &[2, 1])
            .integers("four", &[4])
            .integers("repeats", &[2])
            .integers("square", &[8, 8])
            .integers("last", &[-1])
            .integers("beyond", &[i64::MIN])
            .node("Range", &["zero", "eight", "one"], &["range"], &[])
            .node("Cast", &["range"], &["whole"], &[Int("to", 7)])
            .node("Mod", &["whole", "three"], &["rest"], &[])
            .node("Cast", &["rest"], &["c"], &[Int("to", 1)])
            .node("Sin", &["c"], &["sine"], &[])
            .node("Cos", &["c"], &["cosine"], &[])
            .node("Min", &["sine", "cosine"], &["least"], &[])
            .node("Pow", &["c", "two"], &["squared"], &[])
            .node("Equal", &["rest", "nothing"], &["is_zero"], &[])
            .node("Where", &["is_zero", "squared", "least"], &["chosen"], &[])
            .node("Reshape", &["flat", "column"], &["places"], &[])
            .node("Cast", &["numbers"], &["updates"], &[Int("to", 1)])
            .node("ScatterND", &["chosen", "places", "updates"], &["row"], &[])
            .node("Expand", &["row", "square"], &["full"], &[])
            .node("Trilu", &["full"], &["lower"], &[Int("upper", 0)])
            .node("Slice", &["row", "nothing", "four"], &["part"], &[])
            .node("Tile", &["part", "repeats"], &["tiled"], &[])
            .node("Add", &["lower", "tiled"], &["sum"], &[])
            .node(
                "Slice",
                &["sum", "last", "beyond", "nothing", "last"],
                &["matrix"],
                &[],
            )
            .node("Mul", &["x", "matrix"], &["y"], &[])
    };
    let row: Vec<f32> = (0..8_u8)
        .map(|at| match (at, at % 3) {
            (1, _) => 6.0,
            (3, _) => 5.0,
            (_, 0) => 0.0,
            (_, c) => f32::from(c).sin().min(f32::from(c).cos()),
        })
        .collect();
    let element = |at: usize| {
        let (from, column) = (7 - at / 8, at % 8);
        let lower = if column <= from { row[column] } else { 0.0 };
        lower + row[column % 4]
    };
    let given = |file: ModelFile| {
        file.floats("matrix", &[8, 8], (0..64).map(element).collect())
            .node("Mul", &["x", "matrix"], &["y"], &[])
    };
    let logits = |file: ModelFile| {
        let own = spec(&file.bytes());
        let program = inference(&own, &initial_state(&own, 0).unwrap(), &[]).unwrap();
        onnx_runtime::run_model(&program.model, "images", &images(), "logits").unwrap()
    };
    let (folded, given) = (logits(around(folded, 4)), logits(around(given, 4)));
    assert!(error(&folded, &given) < 1e-6, "{folded:?} instead of {given:?}");
}

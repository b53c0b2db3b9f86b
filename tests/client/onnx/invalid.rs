//! Invalid ONNX files, as no exporter writes them.

use equibatch_client_tests::model_file::{
    Attribute::{Int, Ints, Number, Text},
    ModelFile,
};
use equibatch_training::program::{OnnxModel, TrainSpec, import, train_graph};

use super::spec;

fn begun() -> ModelFile {
    ModelFile::new(32).weights("stem.weight", &[4, 3, 4, 4]).node(
        "Conv",
        &["pixels", "stem.weight"],
        &["x"],
        &[],
    )
}

/// The error and all its causes in one text.
fn refusal(file: &ModelFile) -> String {
    let refused = train_graph(&TrainSpec::new(spec(&file.bytes()), 2)).unwrap_err();
    format!("{:#}", anyhow::Error::from(refused))
}

/// Windows of stride or size zero, sizes that fit no memory, tensors that grow during constant folding.
#[test]
fn crafted_nodes_are_refused_by_name() {
    let pool = |attributes: &[equibatch_client_tests::model_file::Attribute<'_>]| {
        begun().node("AveragePool", &["x"], &["crafted"], attributes)
    };
    let kernel = Ints("kernel_shape", &[3, 3]);
    let mut doubled = begun().integers("many", &[1; 1024]);
    for number in 0..40 {
        let [from, to] = [number, number + 1].map(|number| match number {
            0 => "many".to_owned(),
            number => format!("crafted{number}"),
        });
        doubled = doubled.node("Concat", &[&from, &from], &[&to], &[Int("axis", 0)]);
    }
    let cases = [
        (pool(&[kernel.clone(), Ints("strides", &[0, 1])]), "stride [0, 1]"),
        (
            pool(&[
                kernel.clone(),
                Ints("strides", &[0, 0]),
                Text("auto_pad", "SAME_UPPER"),
            ]),
            "stride [0, 0]",
        ),
        (pool(&[Ints("kernel_shape", &[0, 3])]), "kernel is [0, 3]"),
        (
            pool(&[kernel.clone(), Ints("pads", &[3, 0, 0, 0])]),
            "are not smaller than its kernel",
        ),
        (
            pool(&[kernel.clone(), Ints("pads", &[0, 0, 1 << 40, 0])]),
            "numbers from 0 to 65535",
        ),
        (
            pool(&[
                Ints("kernel_shape", &[60_000, 60_000]),
                Ints("pads", &[59_999, 59_999, 59_999, 59_999]),
            ]),
            "it makes a constant of 14400000000 elements",
        ),
        (
            begun().integers("shape", &[1 << 20, 1 << 20]).node(
                "ConstantOfShape",
                &["shape"],
                &["crafted"],
                &[Number("value", 1)],
            ),
            "it makes a constant of 1099511627776 elements",
        ),
        (
            begun()
                .integers("one", &[1])
                .integers("shape", &[i64::MAX, i64::MAX, 16])
                .node("Expand", &["one", "shape"], &["crafted"], &[]),
            "it makes a constant of",
        ),
        (doubled, "it makes a constant of"),
        (
            begun().integers("shape", &[i64::MAX, i64::MAX, 16, -1]).node(
                "Reshape",
                &["x", "shape"],
                &["crafted"],
                &[],
            ),
            "does not fill",
        ),
        (
            begun()
                .integers("pads", &[0, 0, i64::MAX, 0, 0, 0, i64::MAX, 0])
                .node("Pad", &["x", "pads"], &["crafted"], &[]),
            "attribute before, after",
        ),
        (
            begun().integers("pads", &[0, 0, 1 << 40, 0, 0, 0, 0, 0]).node(
                "Pad",
                &["x", "pads"],
                &["crafted"],
                &[],
            ),
            "more than 2^36 elements",
        ),
        (
            begun()
                .floats("none", &[0, 4, 3, 3], vec![])
                .node("Conv", &["x", "none"], &["crafted"], &[]),
            "without elements",
        ),
        (
            begun().node("Split", &["x"], &["crafted"], &[Ints("split", &[0])]),
            "starts, ends",
        ),
        (
            begun().node("Transpose", &["x"], &["crafted"], &[Ints("perm", &[0, 0, 1, 1])]),
            "not a permutation of 4 axes",
        ),
    ];
    for (file, reason) in cases {
        let file = file
            .weights("fc.weight", &[2, 4])
            .node("GlobalAveragePool", &["x"], &["pooled"], &[])
            .node("Flatten", &["pooled"], &["flat"], &[])
            .node("Gemm", &["flat", "fc.weight"], &["scores"], &[Int("transB", 1)]);
        let message = refusal(&file);
        assert!(message.contains(reason), "{reason}: {message}");
        assert!(message.contains("`crafted"), "{message}");
    }
}

/// A cycle of nodes ends the search for the classifier and is refused.
#[test]
fn cycles_are_refused() {
    for operator in ["Identity", "Softmax", "Relu"] {
        let file = ModelFile::new(32)
            .node(operator, &["scores"], &["back"], &[])
            .node(operator, &["back"], &["scores"], &[]);
        let model = import::read(&file.bytes(), &|_| unreachable!("it is one file")).unwrap();
        let network = OnnxModel::new(model).unwrap();
        assert_eq!(network.logits(), None);
        let message = refusal(&file);
        assert!(message.contains("`back`"), "{operator}: {message}");
    }
}

/// Unsupported operators, attributes and operands of all nodes in one error; nodes that read their outputs are not blamed.
#[test]
fn all_unsupported_nodes_are_named_at_once() {
    let dilated = [Ints("kernel_shape", &[2, 2]), Ints("dilations", &[2, 2])];
    let file = begun()
        .floats("seven", &[], vec![7.0])
        .node("SoftSwish", &["x"], &["a"], &[])
        .node("Relu", &["a"], &["b"], &[])
        .node("MaxPool", &["x"], &["c"], &dilated)
        .node("Pow", &["x", "seven"], &["d"], &[])
        .node("MinPool", &["b"], &["e"], &[])
        .node("Relu", &["x"], &["f"], &[Int("alpha", 1)])
        .weights("fc.weight", &[2, 4])
        .node("GlobalAveragePool", &["e"], &["pooled"], &[])
        .node("Flatten", &["pooled"], &["flat"], &[])
        .node("Gemm", &["flat", "fc.weight"], &["scores"], &[Int("transB", 1)]);
    let message = refusal(&file);
    let expected = "5 nodes are not supported: `a` (SoftSwish: unknown operator); `c` (MaxPool: dilations of a pool are not supported); \
                    `d` (Pow: its exponent is 7, expected -1, 0.5, 1, 2 or 3); `e` (MinPool: unknown operator); \
                    `f` (Relu: its attribute `alpha` is not supported); the supported operators are Abs Add And ";
    assert!(message.contains(expected), "{message}");
}

//! Networks of few nodes.

use std::collections::BTreeMap;

use equibatch_client_tests::model_file::{
    Attribute::{self, Float, Int, Ints, Text},
    ModelFile,
};

use super::super::around;

/// A network around each operator.
pub(super) fn networks() -> BTreeMap<&'static str, ModelFile> {
    let mut networks = BTreeMap::new();
    let mut add = |operator: &'static str, file: ModelFile| {
        assert!(networks.insert(operator, file).is_none(), "{operator}");
    };
    for operator in [
        "Relu",
        "Sigmoid",
        "Tanh",
        "Erf",
        "Exp",
        "Neg",
        "Identity",
        "HardSwish",
    ] {
        add(
            operator,
            around(|file| file.node(operator, &["x"], &["y"], &[]), 4),
        );
    }
    for operator in ["Sqrt", "Log", "Reciprocal"] {
        let middle = |file: ModelFile| {
            file.node("Sigmoid", &["x"], &["positive"], &[])
                .node(operator, &["positive"], &["y"], &[])
        };
        add(operator, around(middle, 4));
    }
    for operator in ["Add", "Sub", "Mul"] {
        let middle = |file: ModelFile| {
            file.weights("other", &[4, 1, 1])
                .node(operator, &["x", "other"], &["y"], &[])
        };
        add(operator, around(middle, 4));
    }
    let divided = |file: ModelFile| {
        file.floats("other", &[1], vec![1.7])
            .node("Div", &["x", "other"], &["y"], &[])
    };
    add("Div", around(divided, 4));
    let one = |operator: &'static str, attributes: Vec<Attribute<'static>>| {
        around(|file| file.node(operator, &["x"], &["y"], &attributes), 4)
    };
    let one_of = |operator: &'static str, attributes: Vec<Attribute<'static>>, channels| {
        around(|file| file.node(operator, &["x"], &["y"], &attributes), channels)
    };
    add("Gelu", one("Gelu", vec![Text("approximate", "tanh")]));
    add("LeakyRelu", one("LeakyRelu", vec![Float("alpha", 0.1)]));
    add("HardSigmoid", one("HardSigmoid", vec![Float("alpha", 0.25)]));
    add("Cast", one("Cast", vec![Int("to", 1)]));
    add("Dropout", one("Dropout", vec![]));
    add("Softmax", one("Softmax", vec![Int("axis", -1)]));
    add("LogSoftmax", one("LogSoftmax", vec![]));
    add("Transpose", one("Transpose", vec![Ints("perm", &[0, 1, 3, 2])]));
    add("GlobalMaxPool", one("GlobalMaxPool", vec![]));
    add("GlobalAveragePool", one("GlobalAveragePool", vec![]));
    let windows = || vec![Ints("kernel_shape", &[3, 3]), Ints("pads", &[1, 1, 1, 1])];
    add("MaxPool", one("MaxPool", windows()));
    add("AveragePool", one("AveragePool", windows()));
    add(
        "Clip",
        around(
            |file| {
                file.floats("low", &[], vec![0.0])
                    .floats("high", &[], vec![0.5])
                    .node("Clip", &["x", "low", "high"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Pow",
        around(
            |file| {
                file.floats("two", &[], vec![2.0])
                    .node("Pow", &["x", "two"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "PRelu",
        around(
            |file| {
                file.floats("slope", &[1], vec![0.25])
                    .node("PRelu", &["x", "slope"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Greater",
        around(
            |file| {
                file.floats("half", &[], vec![0.5])
                    .node("Greater", &["x", "half"], &["above"], &[])
                    .node("Neg", &["x"], &["turned"], &[])
                    .node("Where", &["above", "x", "turned"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Where",
        around(
            |file| {
                file.floats("zero", &[], vec![0.0])
                    .weights("other", &[4, 1, 1])
                    .node("Greater", &["x", "zero"], &["above"], &[])
                    .node("Where", &["above", "x", "other"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Concat",
        around(
            |file| file.node("Concat", &["x", "x"], &["y"], &[Int("axis", 1)]),
            8,
        ),
    );
    add(
        "Split",
        around(
            |file| {
                file.node(
                    "Split",
                    &["x"],
                    &["left", "right"],
                    &[Int("axis", 1), Int("num_outputs", 2)],
                )
                .node("Add", &["left", "right"], &["y"], &[])
            },
            2,
        ),
    );
    add(
        "Slice",
        around(
            |file| {
                file.integers("starts", &[1])
                    .integers("ends", &[7])
                    .integers("axes", &[2])
                    .integers("steps", &[2])
                    .node("Slice", &["x", "starts", "ends", "axes", "steps"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Gather",
        around(
            |file| {
                file.integers("indices", &[3, -1, 0, 3]).node(
                    "Gather",
                    &["x", "indices"],
                    &["y"],
                    &[Int("axis", 2)],
                )
            },
            4,
        ),
    );
    add(
        "GatherND",
        around(
            |file| {
                file.integers("flat", &[0, 2, 1, 0, 2, 2])
                    .integers("shape", &[3, 2])
                    .node("Reshape", &["flat", "shape"], &["indices"], &[])
                    .weights("table", &[3, 3, 8])
                    .node("GatherND", &["table", "indices"], &["rows"], &[])
                    .node("ReduceMean", &["rows"], &["mean"], &[])
                    .node("Mul", &["x", "mean"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Unsqueeze",
        around(
            |file| {
                file.integers("axis", &[1])
                    .integers("shape", &[0, 4, 8, 8])
                    .node("Unsqueeze", &["x", "axis"], &["wide"], &[])
                    .node("Reshape", &["wide", "shape"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Squeeze",
        around(
            |file| {
                file.integers("axis", &[1])
                    .node("Unsqueeze", &["x", "axis"], &["wide"], &[])
                    .node("Squeeze", &["wide", "axis"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Reshape",
        around(
            |file| {
                file.integers("shape", &[0, 8, 4, -1])
                    .node("Reshape", &["x", "shape"], &["y"], &[])
            },
            8,
        ),
    );
    add(
        "Flatten",
        around(
            |file| {
                file.integers("shape", &[0, 16, 4, 4])
                    .node("Flatten", &["x"], &["row"], &[])
                    .node("Reshape", &["row", "shape"], &["y"], &[])
            },
            16,
        ),
    );
    add(
        "Expand",
        around(
            |file| {
                file.integers("shape", &[1, 4, 8, 8])
                    .node("GlobalAveragePool", &["x"], &["mean"], &[])
                    .node("Expand", &["mean", "shape"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "Pad",
        around(
            |file| {
                file.integers("pads", &[0, 0, 1, 0, 0, 0, 0, 2])
                    .node("Pad", &["x", "pads"], &["y"], &[])
            },
            4,
        ),
    );
    add(
        "MatMul",
        around(
            |file| {
                file.weights("matrix", &[8, 5])
                    .node("MatMul", &["x", "matrix"], &["y"], &[])
            },
            4,
        ),
    );
    for operator in ["ReduceMean", "ReduceSum"] {
        let middle = |file: ModelFile| {
            file.integers("axes", &[3])
                .node(operator, &["x", "axes"], &["y"], &[])
        };
        add(operator, around(middle, 4));
    }
    add(
        "LayerNormalization",
        around(
            |file| {
                file.weights("scale", &[8]).weights("shift", &[8]).node(
                    "LayerNormalization",
                    &["x", "scale", "shift"],
                    &["y"],
                    &[],
                )
            },
            4,
        ),
    );
    let normalised = |file: ModelFile| {
        file.weights("scale", &[4])
            .weights("shift", &[4])
            .weights("mean", &[4])
            .floats("variance", &[4], vec![0.5, 0.7, 1.1, 1.3])
            .node(
                "BatchNormalization",
                &["x", "scale", "shift", "mean", "variance"],
                &["y"],
                &[],
            )
    };
    add("BatchNormalization", around(normalised, 4));
    add(
        "Conv",
        around(
            |file| {
                file.weights("kernel", &[4, 2, 3, 3]).node(
                    "Conv",
                    &["x", "kernel"],
                    &["y"],
                    &[Int("group", 2), Ints("pads", &[1, 1, 1, 1])],
                )
            },
            4,
        ),
    );
    for operator in [
        "Abs", "Celu", "Elu", "Mish", "Selu", "Softplus", "Softsign", "Swish",
    ] {
        add(operator, one(operator, vec![]));
    }
    for operator in ["Max", "Mean", "Min", "Sum"] {
        let middle = |file: ModelFile| {
            file.weights("other", &[4, 1, 1]).weights("row", &[8]).node(
                operator,
                &["x", "other", "row"],
                &["y"],
                &[],
            )
        };
        add(operator, around(middle, 4));
    }
    for operator in ["Equal", "GreaterOrEqual", "Less", "LessOrEqual"] {
        let middle = |file: ModelFile| {
            file.floats("half", &[], vec![0.5])
                .node(operator, &["x", "half"], &["condition"], &[])
                .node("Neg", &["x"], &["turned"], &[])
                .node("Where", &["condition", "x", "turned"], &["y"], &[])
        };
        add(operator, around(middle, 4));
    }
    for operator in ["And", "Or", "Xor", "Not"] {
        let middle = |file: ModelFile| {
            let inputs: &[&str] = if operator == "Not" {
                &["above"]
            } else {
                &["above", "below"]
            };
            file.floats("half", &[], vec![0.5])
                .floats("quarter", &[], vec![0.25])
                .node("Greater", &["x", "half"], &["above"], &[])
                .node("Less", &["x", "quarter"], &["below"], &[])
                .node(operator, inputs, &["condition"], &[])
                .node("Neg", &["x"], &["turned"], &[])
                .node("Where", &["condition", "x", "turned"], &["y"], &[])
        };
        add(operator, around(middle, 4));
    }
    for operator in [
        "ReduceL1",
        "ReduceL2",
        "ReduceMax",
        "ReduceMin",
        "ReduceSumSquare",
    ] {
        let middle = |file: ModelFile| {
            file.integers("axes", &[3])
                .node(operator, &["x", "axes"], &["y"], &[])
        };
        add(operator, around(middle, 4));
    }
    add(
        "Einsum",
        around(
            |file| {
                file.weights("matrix", &[5, 4]).node(
                    "Einsum",
                    &["x", "matrix"],
                    &["y"],
                    &[Text("equation", "nchw,kc->nkhw")],
                )
            },
            5,
        ),
    );
    add(
        "Attention",
        around(
            |file| file.node("Attention", &["x", "x", "x"], &["y"], &[Int("is_causal", 1)]),
            4,
        ),
    );
    add(
        "CastLike",
        around(|file| file.node("CastLike", &["x", "x"], &["y"], &[]), 4),
    );
    add(
        "Resize",
        around(
            |file| {
                file.integers("sizes", &[12, 5]).node(
                    "Resize",
                    &["x", "", "", "sizes"],
                    &["y"],
                    &[Text("mode", "linear"), Ints("axes", &[2, 3])],
                )
            },
            4,
        ),
    );
    add(
        "Tile",
        around(
            |file| {
                file.integers("repeats", &[1, 2, 1, 3])
                    .node("Tile", &["x", "repeats"], &["y"], &[])
            },
            8,
        ),
    );
    add(
        "DepthToSpace",
        one_of("DepthToSpace", vec![Int("blocksize", 2), Text("mode", "CRD")], 1),
    );
    add(
        "SpaceToDepth",
        one_of("SpaceToDepth", vec![Int("blocksize", 2)], 16),
    );
    let scaled = |operator: &'static str, attributes: Vec<Attribute<'static>>, extent: i64| {
        let middle = |file: ModelFile| {
            file.weights("scale", &[extent]).weights("shift", &[extent]).node(
                operator,
                if operator == "RMSNormalization" {
                    &["x", "scale"]
                } else {
                    &["x", "scale", "shift"]
                },
                &["y"],
                &attributes,
            )
        };
        around(middle, 4)
    };
    add(
        "GroupNormalization",
        scaled("GroupNormalization", vec![Int("num_groups", 2)], 2),
    );
    add(
        "InstanceNormalization",
        scaled("InstanceNormalization", vec![], 4),
    );
    add("RMSNormalization", scaled("RMSNormalization", vec![], 8));
    add("Gemm", around(|file| file.node("Relu", &["x"], &["y"], &[]), 4));
    networks
}

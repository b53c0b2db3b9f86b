//! Networks from ONNX files that are made here, node by node: every operator there and back, and what of a file is learnt.

use equibatch_training::{
    graph::{Graph, TensorType},
    nn::{Builder, LayerGroup, Mode, import::SUPPORTED},
    program::{
        ModelSpec, OnnxModel, Role, Tensor, TrainSpec, grad_cam, import, inference, initial_state,
        train_graph,
    },
};
use std::{collections::BTreeMap, sync::Arc};

use equibatch_client_tests::{
    interpreter::Array,
    model_file::{
        Attribute::{Float, Int, Ints, Text},
        ModelFile,
    },
    onnx_runtime,
};

use super::golden::error;

const SIZE: usize = 32;
const BATCH: usize = 3;
const CLASSES: usize = 2;

pub(super) fn network(bytes: &[u8]) -> OnnxModel {
    let model = import::read(bytes, &|_| unreachable!("it is one file")).unwrap();
    OnnxModel::new(model).unwrap()
}

pub(super) fn spec(bytes: &[u8]) -> ModelSpec {
    ModelSpec {
        onnx_model: Some(Arc::new(network(bytes))),
        image_size: SIZE,
        ..ModelSpec::new("resnet18".parse().unwrap(), CLASSES)
    }
}

fn images() -> Array {
    let place = |at: &[usize]| at.iter().fold(0, |flat, at| flat * SIZE + at);
    Array::from_fn(&[BATCH, 3, SIZE, SIZE], |at| {
        f64::from((place(at) as f32 * 0.37).sin())
    })
}

/// One training step on ONNX Runtime: everything that the network keeps, as it is afterwards.
fn after_a_step(spec: &ModelSpec, name: &str) -> BTreeMap<String, Tensor> {
    let (graph, signature) =
        train_graph(&TrainSpec::new(spec.clone(), BATCH)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let mut state = initial_state(spec, 0).unwrap();
    let pairs = signature.state.iter().map(|pair| {
        let start = match state.get(&pair.name) {
            Some(tensor) if matches!(pair.role, Role::Parameter | Role::Statistic) => {
                let data = tensor.data.iter().map(|&number| f64::from(number));
                Array::new(&tensor.shape, data.collect())
            }
            _ => Array::zeros(&pair.shape),
        };
        (pair.input.clone(), start)
    });
    let inputs = signature.inputs.iter().map(|input| {
        let array = match &*input.name {
            "images" => images(),
            "targets" => Array::from_fn(&input.shape, |at| {
                f64::from(u8::from(at[1] == at[0] % CLASSES)) / BATCH as f64
            }),
            name if name.starts_with("learning_rate") => Array::new(&[], vec![1e-2]),
            _ if input.shape.is_empty() => Array::new(&[], vec![0.9]),
            _ => Array::from_fn(&input.shape, |_| 1.0),
        };
        (input.name.clone(), array)
    });
    let leaves = pairs.chain(inputs).collect();
    let outputs = onnx_runtime::run(&graph, &leaves).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(outputs["loss"].data[0].is_finite(), "{name}");
    for pair in &signature.state {
        if let (Some(next), Some(tensor)) = (&pair.output, state.get_mut(&pair.name)) {
            tensor.data = outputs[next].data.iter().map(|&number| number as f32).collect();
        }
    }
    state
}

/// `middle` between a convolution, which gives `x: [n, 4, 8, 8]`, and a classifier of `channels` channels, which reads `y`.
fn around(middle: impl FnOnce(ModelFile) -> ModelFile, channels: i64) -> ModelFile {
    let begun = ModelFile::new(SIZE as i64)
        .weights("stem.weight", &[4, 3, 4, 4])
        .weights("stem.bias", &[4])
        .node(
            "Conv",
            &["pixels", "stem.weight", "stem.bias"],
            &["x"],
            &[Ints("strides", &[4, 4])],
        );
    middle(begun)
        .weights("fc.weight", &[CLASSES as i64, channels])
        .weights("fc.bias", &[CLASSES as i64])
        .node("GlobalAveragePool", &["y"], &["pooled"], &[])
        .node("Flatten", &["pooled"], &["flat"], &[])
        .node(
            "Gemm",
            &["flat", "fc.weight", "fc.bias"],
            &["scores"],
            &[Int("transB", 1)],
        )
}

/// A network around each operator.
fn networks() -> BTreeMap<&'static str, ModelFile> {
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
    let one = |operator: &'static str,
               attributes: Vec<equibatch_client_tests::model_file::Attribute<'static>>| {
        around(|file| file.node(operator, &["x"], &["y"], &attributes), 4)
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
                file.integers("index", &[3])
                    .integers("axis", &[2])
                    .node("Gather", &["x", "index"], &["row"], &[Int("axis", 2)])
                    .node("Unsqueeze", &["row", "axis"], &["y"], &[])
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
    add("Gemm", around(|file| file.node("Relu", &["x"], &["y"], &[]), 4));
    networks
}

/// Import, a training step, export, and import again: what was exported can be read, computes what the program that wrote it computes, and
/// can be trained further.
#[test]
fn every_supported_operator_survives_the_way_there_and_back() {
    let networks = networks();
    assert_eq!(networks.keys().copied().collect::<Vec<_>>(), SUPPORTED.to_vec());
    for (operator, file) in networks {
        let own = spec(&file.bytes());
        let trained = after_a_step(&own, operator);
        let exported = inference(&own, &trained, &[]).unwrap_or_else(|error| panic!("{operator}: {error:?}"));
        let again = spec(&exported.model);
        let kept = initial_state(&again, 0).unwrap_or_else(|error| panic!("{operator}: {error:?}"));
        assert!(
            kept == trained,
            "{operator}: {:?} instead of {:?}",
            kept.keys(),
            trained.keys()
        );
        let twice = inference(&again, &kept, &[]).unwrap();
        let [once, twice] = [&exported, &twice].map(|program| {
            let shown = onnx_runtime::run_model(&program.model, "images", &images(), "logits");
            shown.unwrap_or_else(|error| panic!("{operator}: {error:?}"))
        });
        let off = error(&twice, &once);
        assert!(off < 1e-6, "{operator} is off by {off:e}");
        after_a_step(&again, operator);
    }
}

/// What a rectifier with an upper bound is written as stays one node.
#[test]
fn a_bounded_rectifier_stays_one_node() {
    let bytes = networks()["Clip"].bytes();
    let own = spec(&bytes);
    let exported = inference(&own, &initial_state(&own, 0).unwrap(), &[]).unwrap();
    let model = import::read(&exported.model, &|_| unreachable!("it is one file")).unwrap();
    let operators: Vec<&str> = model.nodes.iter().map(|node| &*node.operator).collect();
    assert_eq!(
        operators,
        ["Conv", "Clip", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    );
}

/// Where a network with bounded rectifiers looks can be asked of the file that training has written.
#[test]
fn networks_with_bounded_rectifiers_show_where_they_look() {
    let own = spec(&networks()["Clip"].bytes());
    let exported = inference(&own, &initial_state(&own, 0).unwrap(), &[]).unwrap();
    let program = grad_cam(&network(&exported.model), CLASSES, SIZE).unwrap();
    assert_eq!(program.signature.outputs[0].shape.to_vec(), [1, 8, 8]);
}

/// Name and layer group of everything that is learnt.
pub(super) fn learnt(network: &OnnxModel) -> Vec<(String, LayerGroup)> {
    let mut graph = Graph::new();
    let images = graph
        .input("images", TensorType::f32([BATCH, 3, SIZE, SIZE]))
        .unwrap();
    let mut builder = Builder::new(&mut graph, Mode::Train);
    let classes = network.logits().unwrap_or(CLASSES);
    network.build(&mut builder, images, classes).unwrap();
    let parameters = builder.parameters().iter();
    parameters
        .map(|parameter| (parameter.name.clone(), parameter.group))
        .collect()
}

fn names(bytes: &[u8]) -> Vec<String> {
    learnt(&network(bytes))
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

/// A batch norm before all other layers is a layer: it is learnt, and so is what meets its result.
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

/// Weights that several nodes read are learnt as one; statistics are each batch norm's own.
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

/// Exporters merge tensors that happen to be equal, and name them twice: in a fresh network that is every scale and every shift.
#[test]
fn equal_tensors_that_an_exporter_has_merged_are_learnt_apart() {
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
    // The first and third copies are learnt, the second and fourth are statistics.
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

/// A number with an axis that meets what is learnt is learnt; a mere number is not.
#[test]
fn numbers_of_one_element_are_learnt_if_they_have_an_axis() {
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

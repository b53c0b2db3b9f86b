//! Networks that PyTorch exported to ONNX, against PyTorch (see `generate/networks.py`).

use equibatch_client::learn::network;
use equibatch_training::{
    graph::{Graph, fuse::fuse},
    nn::LayerGroup,
    program::{
        Classifier, DeploySpec, Images, ModelSpec, OPSET, OnnxModel, Role, Signature, TrainSpec, deploy,
        import, inference, initial_state, train_graph,
    },
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use equibatch_client_tests::{interpreter::Array, onnx_runtime};
use equibatch_harness::checkout;

use super::trained;
use crate::golden::{Run, error, fixture, interpreted, on_onnx_runtime};

pub(super) const NETWORKS: [&str; 16] = [
    "cnn",
    "convnext",
    "densenet",
    "efficientnet",
    "lite",
    "mlp",
    "mobile",
    "mobilenet_v2",
    "mobilenet_v3",
    "regnet",
    "resnet",
    "swin",
    "timm_convnext",
    "timm_swin",
    "timm_vit",
    "vit",
];
const CLASSES: usize = 3;
const BATCH: usize = 4;
const BETA1: f64 = 0.9;

fn file(name: &str) -> PathBuf {
    let fixtures = checkout::fixture("networks");
    fixtures.join(format!("{name}.onnx"))
}

pub(crate) fn spec(name: &str, classes: usize) -> ModelSpec {
    let network = network::read(&file(name)).unwrap();
    ModelSpec::Classifier(Classifier {
        network: Arc::new(network),
        classes,
        image_size: 32,
    })
}

fn array(tensor: &equibatch_training::program::Tensor) -> Array {
    let data = tensor.data.iter().map(|&number| f64::from(number));
    Array::new(&tensor.shape, data.collect())
}

/// The inputs and state of a step on the images of a fixture.
fn leaves(
    spec: &ModelSpec,
    signature: &Signature,
    golden: &BTreeMap<String, Array>,
) -> BTreeMap<String, Array> {
    let state = initial_state(spec, 0).unwrap();
    let pairs = signature.state.iter().map(|pair| {
        let start = match pair.role {
            Role::Parameter | Role::Statistic => array(&state[&pair.name]),
            _ => Array::zeros(&pair.shape),
        };
        (pair.input.clone(), start)
    });
    let labels = &golden["labels"];
    let mask = |name: &str| signature.dropout.iter().position(|dropout| dropout.name == name);
    let inputs = signature.inputs.iter().map(|input| {
        let array = match (&*input.name, mask(&input.name)) {
            ("images", _) => golden["images"].clone(),
            ("targets", _) => Array::from_fn(&[BATCH, CLASSES], |at| {
                f64::from(u8::from(labels.data[at[0]] == at[1] as f64)) / BATCH as f64
            }),
            (_, Some(place)) => golden[&format!("mask.{place}")].clone(),
            ("beta1", _) => Array::new(&[], vec![BETA1]),
            _ => Array::new(&[], vec![0.5]),
        };
        (input.name.clone(), array)
    });
    pairs.chain(inputs).collect()
}

/// The results of one step that the fixture contains, under its names.
fn step(run: Run, name: &str, golden: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let spec = spec(name, CLASSES);
    let (graph, signature) = train_graph(&TrainSpec::new(spec.clone(), BATCH)).unwrap();
    let mut outputs = run(&graph, &leaves(&spec, &signature, golden));
    let mut results = BTreeMap::new();
    for pair in &signature.state {
        let next = pair.output.as_ref().map(|next| outputs.remove(next).unwrap());
        match (pair.role, next) {
            (Role::Optimizer, Some(mut moment)) if pair.name.starts_with("first_moment.") => {
                // From zero, it is (1 − β₁) times the gradient.
                moment.data.iter_mut().for_each(|number| *number /= 1.0 - BETA1);
                let parameter = pair.name.strip_prefix("first_moment.").unwrap();
                results.insert(format!("gradient/{parameter}"), moment);
            }
            (Role::Statistic, Some(next)) => {
                results.insert(format!("after/{}", pair.name), next);
            }
            _ => {}
        }
    }
    for output in ["loss", "logits"] {
        results.insert(output.to_owned(), outputs.remove(output).unwrap());
    }
    results
}

fn fused(graph: &Graph, leaves: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    on_onnx_runtime(&fuse(graph).unwrap(), leaves)
}

/// Exactly those tensors have a gradient that have one in PyTorch.
fn compare(run: Run, is_close: impl Fn(f64, f64) -> bool) {
    for name in NETWORKS {
        let golden = fixture(&format!("networks/{name}.safetensors"));
        let mut found = step(run, name, &golden);
        // The exporter replaces Swin's position tables by the values looked up; these are trained, and PyTorch has no gradient for them.
        // So are timm's attention masks, which are buffers in PyTorch: in a file they look like parameters.
        found
            .retain(|tensor, _| !tensor.starts_with("gradient/unsqueeze") && !tensor.ends_with(".attn_mask"));
        let expected = |name: &&String| {
            ["loss", "logits"].contains(&&***name)
                || name.starts_with("gradient/")
                || name.starts_with("after/")
        };
        let names: Vec<&String> = golden.keys().filter(expected).collect();
        assert_eq!(names, found.keys().collect::<Vec<_>>(), "{name}");
        for (tensor, found) in &found {
            let expected = &golden[tensor];
            // The gradient of a bias before a batch norm is zero up to rounding, so it has no relative error.
            let (off, theirs) = if expected.largest() < 1e-12 {
                (found.largest(), 0.0)
            } else {
                (error(found, expected), golden[&format!("error/{tensor}")].data[0])
            };
            assert!(
                is_close(off, theirs),
                "{name}: {tensor} is off by {off:e}, PyTorch in single precision by {theirs:e}"
            );
        }
    }
}

/// In double precision only the fixture and constants such as 1/6 are rounded, by 6e-8 each; gradients add these errors up.
#[test]
fn gradients_of_exported_networks_are_those_of_pytorch() {
    compare(interpreted, |off, _| off < 2e-5);
}

/// In single precision another order of summation may cost a multiple of PyTorch's own error, and a few roundings.
#[test]
fn exported_networks_train_on_onnx_runtime_as_exactly_as_in_pytorch() {
    compare(on_onnx_runtime, |off, theirs| off < 10.0 * theirs + 2e-6);
    compare(fused, |off, theirs| off < 10.0 * theirs + 2e-6);
}

/// The operators of ours compute the same, in double precision: with channels that are padded, depthwise convolutions and ReLU6. Gradients of biases
/// before a batch norm are zero up to rounding.
#[test]
fn fusing_an_exported_network_preserves_its_outputs() {
    let fused = |graph: &Graph, leaves: &BTreeMap<String, Array>| interpreted(&fuse(graph).unwrap(), leaves);
    for name in NETWORKS {
        let golden = fixture(&format!("networks/{name}.safetensors"));
        let (found, expected) = (step(fused, name, &golden), step(interpreted, name, &golden));
        for (tensor, found) in &found {
            let off = found.distance(&expected[tensor]) / expected[tensor].largest().max(1e-6);
            assert!(off < 1e-8, "{name}: {tensor} is off by {off:e}");
        }
    }
}

#[test]
fn exported_networks_predict_as_in_pytorch() {
    for name in NETWORKS {
        let golden = fixture(&format!("networks/{name}.safetensors"));
        let spec = spec(name, CLASSES);
        let program = inference(&spec, &initial_state(&spec, 0).unwrap(), &[]).unwrap();
        let found = onnx_runtime::run_model(&program.model, "images", &golden["images"], "logits").unwrap();
        let off = error(&found, &golden["inference"]);
        let theirs = golden["error/inference"].data[0];
        assert!(
            off < 10.0 * theirs + 2e-6,
            "{name} is off by {off:e}, PyTorch by {theirs:e}"
        );
    }
}

/// Only the last layer is initialised again, in the layout of the file.
#[test]
fn another_number_of_classes_reinitialises_the_last_layer() {
    for name in NETWORKS {
        let [kept, changed] = [CLASSES, 5].map(|classes| initial_state(&spec(name, classes), 3).unwrap());
        let differing: Vec<&String> = kept.keys().filter(|name| kept[*name] != changed[*name]).collect();
        let shapes: Vec<_> = differing
            .iter()
            .map(|name| changed[*name].shape.to_vec())
            .collect();
        assert_eq!(differing.len(), 2, "{name}: {differing:?}");
        assert!(
            shapes.iter().all(|shape| shape.contains(&5)),
            "{name}: {shapes:?}"
        );
        let (graph, _) = train_graph(&TrainSpec::new(spec(name, 5), 2)).unwrap();
        let logits = graph
            .outputs()
            .iter()
            .find(|(name, _)| name == "logits")
            .unwrap()
            .1;
        assert_eq!(**graph.shape(logits), [2, 5]);
    }
}

/// The logits are those of the linear layer without bias, divided by the lengths of features and weights; so they are in a file that is read again.
#[test]
fn the_last_layer_may_compute_cosines() {
    let of = |network: OnnxModel| {
        ModelSpec::Classifier(Classifier {
            network: Arc::new(network),
            classes: CLASSES,
            image_size: 32,
        })
    };
    for name in NETWORKS {
        let golden = fixture(&format!("networks/{name}.safetensors"));
        let run =
            |model: &[u8]| onnx_runtime::run_model(model, "images", &golden["images"], "logits").unwrap();
        let network = network::read(&file(name)).unwrap();
        let plain = of(network.clone());
        let cosine = of(network.with_cosine_head(10.0).unwrap());
        let mut linear_state = initial_state(&plain, 0).unwrap();
        let state = initial_state(&cosine, 0).unwrap();
        let missing = linear_state.keys().find(|name| !state.contains_key(*name));
        let bias = missing.unwrap().clone();
        assert_eq!(linear_state.len(), state.len() + 1, "{name}");
        linear_state.get_mut(&bias).unwrap().data.fill(0.0);
        let products = run(&inference(&plain, &linear_state, &[]).unwrap().model);
        let model = inference(&cosine, &state, &[]).unwrap().model;
        let logits = run(&model);
        // The head alone, on features of the body.
        let head = ModelSpec::Head(Box::new(cosine.clone()));
        train_graph(&TrainSpec::new(head, BATCH)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            logits.largest() <= 10.001 && logits.largest() > 0.01,
            "{name}: {logits:?}"
        );
        let weight = &state[&bias.replace("bias", "weight")];
        let outputs_first = weight.shape[0] == CLASSES;
        let length = |class: usize| -> f64 {
            let own = weight
                .data
                .iter()
                .enumerate()
                .filter(|(place, _)| match outputs_first {
                    true => place / weight.shape[1] == class,
                    false => place % CLASSES == class,
                });
            own.map(|(_, number)| f64::from(*number).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        for (logits, products) in logits.data.chunks(CLASSES).zip(products.data.chunks(CLASSES)) {
            // The same factor of every class: the scale over the length of the features.
            let largest = (0..CLASSES).max_by(|&a, &b| products[a].abs().total_cmp(&products[b].abs()));
            let largest = largest.unwrap();
            let factor = logits[largest] * length(largest) / products[largest];
            for class in 0..CLASSES {
                let expected = factor * products[class] / length(class);
                let off = (logits[class] - expected).abs();
                assert!(off < 1e-3, "{name}: {} is not {expected}", logits[class]);
            }
        }
        let again = import::read(&model, &|_| unreachable!("it is one file")).unwrap();
        let spec = DeploySpec {
            classes: CLASSES,
            image_size: 32,
            fuse_bn: true,
            images: Images::F32,
            offsets: &[],
            scale: 1.0,
            opset: OPSET,
            metadata: &[],
        };
        let deployed = deploy(&OnnxModel::new(again).unwrap(), &spec).unwrap();
        let off = run(&deployed.model).distance(&logits);
        assert!(off < 1e-4, "{name}: off by {off:e}");
        let (graph, _) = train_graph(&TrainSpec::new(cosine, BATCH)).unwrap();
        assert!(graph.named(&bias).is_none(), "{name}");
    }
}

/// Names of the parameters of a layer group, sorted.
fn group(network: &OnnxModel, group: LayerGroup) -> Vec<String> {
    let trained = trained(network).into_iter();
    let mut names: Vec<String> = trained
        .filter(|(_, of)| *of == group)
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names
}

#[test]
fn the_head_is_the_classifier_behind_the_pooling() {
    for (name, layers) in [
        ("cnn", &["9"][..]),
        ("convnext", &["classifier.2"]),
        ("densenet", &["classifier"]),
        ("efficientnet", &["classifier.1"]),
        ("lite", &["classifier"]),
        ("mlp", &["head"]),
        ("mobile", &["head"]),
        ("mobilenet_v2", &["classifier.1"]),
        ("mobilenet_v3", &["classifier.0", "classifier.3"]),
        ("regnet", &["fc"]),
        ("resnet", &["fc"]),
        ("swin", &["head"]),
        ("timm_convnext", &["head.fc"]),
        ("timm_swin", &["head.fc"]),
        ("timm_vit", &["head"]),
        ("vit", &["heads.head"]),
    ] {
        let network = network::read(&file(name)).unwrap();
        let of_layer = |layer: &&str| [format!("{layer}.bias"), format!("{layer}.weight")];
        let expected: Vec<String> = layers.iter().flat_map(of_layer).collect();
        assert_eq!(group(&network, LayerGroup::Head), expected, "{name}");
    }
}

#[test]
fn the_body_is_divided_by_depth() {
    for (name, early, late) in [
        (
            "resnet",
            &["conv1.", "bn1.", "layer1.", "layer2."][..],
            &["layer3.", "layer4."][..],
        ),
        (
            "vit",
            &["conv_proj.", "encoder.layers.encoder_layer_0."],
            &["encoder.layers.encoder_layer_1.", "encoder.ln."],
        ),
        (
            "convnext",
            // Eleven layers deep: the sixth, the last of the early group, is the first of the third stage.
            &[
                "features.0.",
                "features.1.",
                "features.2.",
                "features.3.0.block.0.",
            ],
            &["features.3.0.block.3.", "features.3.1."],
        ),
    ] {
        let network = network::read(&file(name)).unwrap();
        for (of, prefixes) in [(LayerGroup::Early, early), (LayerGroup::Late, late)] {
            let names = group(&network, of);
            for prefix in prefixes {
                assert!(
                    names.iter().any(|name| name.starts_with(prefix)),
                    "{name}: {prefix} in {names:?}"
                );
                let others = LayerGroup::ALL.into_iter().filter(|other| *other != of);
                let elsewhere = others.flat_map(|other| group(&network, other));
                let strays: Vec<String> = elsewhere.filter(|name| name.starts_with(prefix)).collect();
                assert!(strays.is_empty(), "{name}: {strays:?}");
            }
        }
    }
}

/// Of a network whose only convolution cuts out patches, all but the classifier and the norms is frozen.
#[test]
fn a_frozen_transformer_trains_its_classifier() {
    for name in ["vit", "swin", "convnext"] {
        let frozen = TrainSpec::new(spec(name, CLASSES), 2).freeze_layers(2);
        let (_, signature) = train_graph(&frozen).unwrap();
        let moves: Vec<&str> = signature
            .state
            .iter()
            .filter(|pair| pair.role == Role::Parameter && pair.output.is_some())
            .map(|pair| &*pair.name)
            .collect();
        let is_norm = |name: &&str| network_norms(name);
        let rest: Vec<&&str> = moves.iter().filter(|name| !is_norm(name)).collect();
        assert_eq!(rest.len(), 2, "{name}: {rest:?}");
    }
}

/// Whether a name is that of a layer norm of the fixtures.
fn network_norms(name: &str) -> bool {
    [
        "norm",
        ".ln",
        "features.0.1.",
        "features.0.2.",
        "block.2.",
        "features.2.0.",
        "classifier.0.",
    ]
    .iter()
    .any(|part| name.contains(part))
}

#[test]
fn the_head_can_be_named() {
    let read = || network::read(&file("vit")).unwrap();
    let named = read().with_head(|name| name.starts_with("encoder.ln")).unwrap();
    assert_eq!(
        group(&named, LayerGroup::Head),
        ["encoder.ln.bias", "encoder.ln.weight"]
    );
    assert!(group(&named, LayerGroup::Late).contains(&"heads.head.weight".to_owned()));
    assert_eq!(read().with_head(|name| name == "fc.weight"), None);
}

/// Both exporters, training and evaluation mode, several operator sets: a step, and for files in evaluation mode the same logits as the file.
#[test]
#[ignore = "needs the files of `generate/networks.py --every FOLDER`; the variable EXPORTS names the folder"]
fn every_kind_of_export_can_be_trained() {
    let folder = std::env::var("EXPORTS").expect("the folder of the files");
    let (mut count, mut failures) = (0, vec![]);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        count += 1;
        if let Err(reason) = std::panic::catch_unwind(|| can_be_trained(&path)) {
            let text = reason.downcast_ref::<String>().cloned().unwrap_or_default();
            failures.push(format!("{name}: {text}"));
        }
    }
    assert!(count > 0 && failures.is_empty(), "{}", failures.join("\n"));
}

fn can_be_trained(path: &std::path::Path) {
    let name = path.display().to_string();
    let of = |classes: usize| {
        ModelSpec::Classifier(Classifier {
            network: Arc::new(network::read(path).unwrap()),
            classes,
            image_size: 32,
        })
    };
    let own = of(CLASSES);
    let program = inference(&own, &initial_state(&own, 0).unwrap(), &[]).unwrap();
    if name.contains(".eval.") {
        let images = super::images();
        let bytes = std::fs::read(path).unwrap();
        let expected = onnx_runtime::run_model(&bytes, "pixels", &images, "scores").unwrap();
        let found = onnx_runtime::run_model(&program.model, "images", &images, "logits").unwrap();
        let off = error(&found, &expected);
        assert!(off < 1e-4, "{name} is off by {off:e}");
    }
    super::after_a_step(&of(super::CLASSES), &name);
}

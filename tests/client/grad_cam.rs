//! Grad-CAM against finite differences in double precision, and on ONNX Runtime.

use equibatch_training::{
    graph::{ElementType, Graph, TensorType},
    nn::{Builder, Head, Mode},
    program::{
        Backbone, ModelSpec, OnnxModel, ResNet, add_grad_cam, grad_cam, import, inference, initial_state,
    },
    runtime::{GradCam, Runtime, SessionOptions},
};
use std::{collections::BTreeMap, num::NonZeroUsize};

use equibatch_client_tests::interpreter::{Array, evaluate};
use equibatch_engine::random::{Purpose, generator};
use rand::Rng as _;

/// Numbers in -1..1 that single precision represents exactly.
fn noise(shape: &[usize], seed: u64) -> Array {
    let mut random = generator(seed, Purpose::DRAWING, &[]);
    Array::from_fn(shape, |_| {
        f64::from((f64::from(random.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0) as f32)
    })
}

/// Grad-CAM with finite differences for the derivative: for each image, `max(0, sum over k of mean(dy/dA_k) A_k)`.
#[test]
fn feature_maps_are_weighted_by_the_gradient_of_the_logit() {
    let (images, maps_each, classes) = (2, 4, 3);
    let labels = [2, 0];
    for head in [Head::default(), Head::Plain] {
        let mut graph = Graph::new();
        let maps = graph
            .input("maps", TensorType::f32([images, maps_each, 3, 2]))
            .unwrap();
        let label = graph
            .input("labels", TensorType::new(ElementType::I64, [images]))
            .unwrap();
        let mut builder = Builder::new(&mut graph, Mode::Inference);
        let logits = head.build(&mut builder, maps, classes).unwrap();
        let names: Vec<(String, Vec<usize>)> = builder
            .parameters()
            .iter()
            .map(|parameter| (&parameter.name, parameter.value))
            .chain(
                builder
                    .statistics()
                    .iter()
                    .map(|statistic| (&statistic.name, statistic.value)),
            )
            .map(|(name, value)| (name.clone(), builder.graph.shape(value).to_vec()))
            .collect();
        let shown = add_grad_cam(&mut graph, logits, label).unwrap();

        let mut leaves: BTreeMap<String, Array> = BTreeMap::new();
        for (number, (name, shape)) in (0..).zip(&names) {
            let mut array = noise(shape, number);
            if name.ends_with("running_var") {
                array
                    .data
                    .iter_mut()
                    .for_each(|variance| *variance = variance.abs() + 0.5);
            }
            leaves.insert(name.clone(), array);
        }
        let given = noise(&[images, maps_each, 3, 2], 77);
        leaves.insert(
            "labels".to_owned(),
            Array::new(&[images], labels.map(|label| label as f64).to_vec()),
        );
        let logit = |maps: Array, image: usize| {
            let mut leaves = leaves.clone();
            leaves.insert("maps".to_owned(), maps);
            evaluate(&graph, &leaves).of(logits).at(&[image, labels[image]])
        };
        let step = 1e-6;
        let mut expected = Array::zeros(&[images, 3, 2]);
        for image in 0..images {
            for map in 0..maps_each {
                let mut weight = 0.0;
                for (row, column) in (0..3).flat_map(|row| (0..2).map(move |column| (row, column))) {
                    let at = [image, map, row, column];
                    let moved = |by: f64| {
                        let mut maps = given.clone();
                        maps.add(&at, by);
                        logit(maps, image)
                    };
                    weight += (moved(step) - moved(-step)) / (2.0 * step) / 6.0;
                }
                for (row, column) in (0..3).flat_map(|row| (0..2).map(move |column| (row, column))) {
                    expected.add(
                        &[image, row, column],
                        weight * given.at(&[image, map, row, column]),
                    );
                }
            }
        }
        expected.data.iter_mut().for_each(|value| *value = value.max(0.0));
        assert!(expected.largest() > 0.0, "{head}: nothing to compare");
        leaves.insert("maps".to_owned(), given.clone());
        let found = evaluate(&graph, &leaves).of(shown).clone();
        let distance = found.distance(&expected);
        assert!(
            distance < 1e-6 * expected.largest().max(1.0),
            "{head}: {distance:e}\n{found:?}\n{expected:?}"
        );
    }
}

#[test]
fn grad_cam_of_an_exported_model_matches_the_definition() {
    const SIZE: usize = 96;
    let model = ModelSpec::ResNet(ResNet {
        image_size: SIZE,
        ..ResNet::new(
            Backbone {
                width: 4,
                ..Backbone::RESNET18
            },
            3,
        )
    });
    let state = initial_state(&model, 5).unwrap();
    let file = inference(&model, &state, &[]).unwrap().model;
    let network = || OnnxModel::new(import::read(&file, &|_| unreachable!("one file")).unwrap()).unwrap();
    let images = noise(&[1, 3, SIZE, SIZE], 3);
    let tensor: Vec<u8> = images
        .data
        .iter()
        .flat_map(|&value| (value as f32).to_le_bytes())
        .collect();
    let options = SessionOptions {
        intra_threads: NonZeroUsize::new(1),
        ..SessionOptions::default()
    };
    let program = grad_cam(&network(), 3, SIZE).unwrap();
    let mut shown = GradCam::new(&Runtime::load().unwrap(), &program, &options).unwrap();

    let mut graph = Graph::new();
    let input = graph
        .input("images", TensorType::f32([1, 3, SIZE, SIZE]))
        .unwrap();
    let label = graph
        .input("labels", TensorType::new(ElementType::I64, [1]))
        .unwrap();
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let logits = network().build(&mut builder, input, 3).unwrap();
    let map = add_grad_cam(&mut graph, logits, label).unwrap();
    let mut leaves: BTreeMap<String, Array> = state
        .iter()
        .map(|(name, tensor)| {
            let data = tensor.data.iter().map(|&value| f64::from(value)).collect();
            (name.clone(), Array::new(&tensor.shape, data))
        })
        .collect();
    leaves.insert("images".to_owned(), images);
    let mut lit = 0;
    for class in 0..3_u8 {
        leaves.insert("labels".to_owned(), Array::new(&[1], vec![f64::from(class)]));
        let expected = evaluate(&graph, &leaves).of(map).clone();
        let found = shown.of(&tensor, class.into()).unwrap();
        assert_eq!(found.extent, [3, 3]);
        let found = Array::new(
            &[1, 3, 3],
            found.values.iter().map(|&value| f64::from(value)).collect(),
        );
        // Rounding of eighteen layers in single precision.
        let distance = found.distance(&expected);
        assert!(
            distance <= 1e-3 * expected.largest().max(1e-3),
            "class {class}: {distance:e}\n{found:?}\n{expected:?}"
        );
        lit += usize::from(expected.largest() > 0.0);
    }
    assert!(lit > 0, "nothing to compare");
}
